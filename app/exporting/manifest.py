"""The manifest of an export: what the file is, of what, and how complete that is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct

from app.domain.activity import Activity
from app.domain.column_words import MEANING
from app.domain.columns import EXPORTED
from app.domain.coverage import Entry
from app.domain.events import Event
from app.domain.exports import MEDIA_TYPES, WITH_COLUMNS, Wish
from app.domain.heard import active_in, coverage, jointly, to_ms
from app.domain.heard_plain import iso, plain, plain_joint
from app.domain.periods import plain_periods
from app.domain.spans import Span

MANIFEST_VERSION = 1
_TOO_LONG = ("intervals", "outages")  # of the coverage: thousands of lines; its gaps follow from them

_NOTES = {
    "jsonl": "one JSON object a line; every column stands in each, null where the source says nothing; times are UTC",
    "raw": "one JSON object a line, each as it came from its source",
    "csv": (
        "UTF-8, CRLF; every text, ids too, stands in quotes, lists and maps are JSON, times are UTC. A text that a "
        "spreadsheet could take for a formula has an apostrophe before it, and so has one that begins with one: take "
        "one leading apostrophe off each text, and you have what was stored"
    ),
    "parquet": "times are UTC; what each column means stands in the metadata of its field too",
    "gexf": "posts of a node: those that the account made, or that have the hashtag; the weight is a number of posts",
    "ids": "one id a line",
}
_WITH_BOM = (
    ". Texts that look like numbers, as ids do, have the apostrophe too, so that a spreadsheet does not round them"
)


class File(Struct, frozen=True, kw_only=True):
    """The file as it was written."""

    name: str
    rows: int
    bytes: int
    sha256: str


def about(event: Event, entries: Iterable[Entry], counted: Activity, wish: Wish, now: datetime) -> dict[str, Any]:
    """What can be said before the export begins: of the event, and of what was heard of it up to now."""
    at = to_ms(now)
    span = _span(wish, at)
    entries = list(entries)
    heard = [plain(one) for one in coverage(event, entries, at, span)]
    return {
        "event": {
            "code": event.code,
            "name": event.name,
            "status": event.status,
            "version": event.version,
            "start": event.start,
            "end": event.end,
        },
        "selectors": plain_periods(event, at),
        "posts": {"as_of": iso(at), **counted.balance, "deletions": event.deletions},
        "coverage": {
            "as_of": iso(at),
            "active": [{"from": iso(since), "to": iso(until)} for since, until in active_in(event, at, span)],
            "all_sources": plain_joint(jointly(event, entries, at, span), at),
            "sources": [{name: value for name, value in one.items() if name not in _TOO_LONG} for one in heard],
        },
    }


def manifest(
    file: File, wish: Wish, asked: dict[str, Any], described: dict[str, Any], notes: dict[str, Any]
) -> dict[str, Any]:
    """The whole of it. `described` is from `about`, `notes` from the sink."""
    return {
        "manifest_version": MANIFEST_VERSION,
        "starling_version": version("starling"),
        "file": {
            **msgspec.to_builtins(file),
            "format": wish.format,
            "media_type": MEDIA_TYPES[wish.format],
            "order": "by bucket of the table, oldest first, then by id as text; each post once",
            "note": _NOTES[wish.format] + (_WITH_BOM if wish.bom else ""),
            **notes,
        },
        "export": asked,
        **described,
        "filters": msgspec.to_builtins(wish.filters),
        "columns": [
            {"name": name, "type": EXPORTED[name], "meaning": MEANING[name]}
            for name in (wish.columns_wanted if wish.format in WITH_COLUMNS else ())
        ],
    }


def _span(wish: Wish, now: int) -> Span | None:
    since, until = wish.filters.since, wish.filters.until
    if since is None and until is None:
        return None
    return to_ms(since) if since else 0, min(to_ms(until), now) if until else now
