"""Which stored posts an export has, and the values that its sink takes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from app.clients.cassandra import ms_of
from app.clients.stored import PAGE_RAW, Bucket, Stored
from app.domain import networks
from app.domain.columns import ANNOTATED, COLUMNS
from app.domain.exports import Filters, Wish
from app.domain.heard import to_ms
from app.exporting.sink import RowValues

_Test: TypeAlias = Callable[[Any], bool]
_FOREVER = 1 << 62


def columns_of(wish: Wish) -> tuple[str, ...]:
    """The columns that the sink of a wish takes."""
    if wish.format == "gexf":
        return networks.COLUMNS
    return ("t_id",) if wish.format in ("ids", "raw") else wish.columns_wanted


class Chooser:
    """Reads buckets and lets pass what is wished; for `raw` the rows are the JSON alone."""

    def __init__(self, stored: Stored, wish: Wish) -> None:
        self._stored = stored
        self._raw = wish.format == "raw"
        self._span = _span(wish.filters)
        self._tags = frozenset(wish.filters.tags)
        columns, tests = columns_of(wish), dict(_tests(wish.filters))
        needed = tuple(dict.fromkeys((*columns, *(name for names in tests for name in names))))
        self._annotated = not ANNOTATED.keys().isdisjoint(needed)
        read = tuple(name for name in needed if name in COLUMNS)
        self._read = tuple(dict.fromkeys((*read, "t_id"))) if self._annotated else read
        found = (*self._read, *ANNOTATED) if self._annotated else self._read
        self._pick = [found.index(name) for name in columns]
        self._id = found.index("t_id") if "t_id" in found else 0
        self._tests = [([found.index(name) for name in names], test) for names, test in tests.items()]

    def pages(self, bucket: Bucket) -> Iterator[Sequence[RowValues]]:
        """The rows of a bucket, page by page."""
        # A post may say another time than its id does, by which buckets are made: what a bucket holds has to be seen.
        if self._span and not _meets(bucket, *self._span) and not self._stored.has_of(bucket.name, *self._span):
            return
        if self._tags and not self._stored.has_tag(bucket.name, self._tags):
            return
        chosen = self._chosen(bucket)
        yield from self._with_raw(bucket, chosen) if self._raw else chosen

    def _chosen(self, bucket: Bucket) -> Iterator[Sequence[RowValues]]:
        beside = _Beside(self._stored.annotations(bucket.name)) if self._annotated else None
        for page in self._stored.pages(bucket.name, self._read):
            rows = page if beside is None else [(*row, *(beside.of(row[self._id]) or _NOTHING)) for row in page]
            passing = [row for row in rows if self._passes(row)] if self._tests else rows
            yield [[row[at] for at in self._pick] for row in passing]

    def _with_raw(self, bucket: Bucket, chosen: Iterator[Sequence[RowValues]]) -> Iterator[Sequence[RowValues]]:
        beside = _Beside(self._stored.raw(bucket.name))
        found = (json for page in chosen for (wanted,) in page if (json := beside.of(wanted)))
        while page := list(islice(found, PAGE_RAW)):
            yield page

    def _passes(self, row: Sequence[Any]) -> bool:
        for places, test in self._tests:
            if not test(row[places[0]] if len(places) == 1 else [row[at] for at in places]):
                return False
        return True


class _Beside:
    """Rows of another table of the same key, walked along with those of `tweet`.

    Both come in the order of the ids' bytes, which is that of their characters.
    """

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._at = ""
        self._values: tuple[Any, ...] = ()

    def of(self, wanted: str) -> tuple[Any, ...]:
        """What stands beside an id; nothing where there is no row. Ids are asked for in their order."""
        while self._at < wanted:
            self._at, *values = next(self._rows, (_LAST,))
            self._values = tuple(values)
        return self._values if self._at == wanted else ()


_NOTHING = (None,) * len(ANNOTATED)
_LAST = chr(0x10FFFF) * 2  # behind every id


def _span(filters: Filters) -> tuple[int, int] | None:
    if filters.since is None and filters.until is None:
        return None
    return (
        to_ms(filters.since) if filters.since else -_FOREVER,
        to_ms(filters.until) if filters.until else _FOREVER,
    )


def _meets(bucket: Bucket, since: int, until: int) -> bool:
    return bucket.seconds == 0 or (bucket.since < until and since < bucket.since + bucket.seconds * 1000)


def _tests(filters: Filters) -> Iterator[tuple[tuple[str, ...], _Test]]:
    """For columns the test that their value, or values, must pass."""
    if (span := _span(filters)) is not None:
        since, until = span
        yield ("t_created_at",), lambda at: at is not None and since <= ms_of(at) < until
    if filters.languages:
        languages = frozenset(filters.languages)
        yield ("t_lang",), lambda one: one is not None and _is_in(one.lower(), languages)
    if filters.keywords:
        keywords = frozenset(filters.keywords)
        yield ("matched",), lambda matched: bool(matched) and not keywords.isdisjoint(matched)
    if filters.accounts:
        accounts = frozenset(filters.accounts)
        yield ("u_screen_name", "u_id"), lambda both: any(one and one.lower() in accounts for one in both)
    if filters.tags:
        tags = frozenset(filters.tags)
        yield ("tags",), lambda some: bool(some) and not tags.isdisjoint(some)
    if filters.origins:
        origins = frozenset(filters.origins)
        yield ("origin",), lambda one: one in origins


def _is_in(language: str, wanted: frozenset[str]) -> bool:
    return language in wanted or language.partition("-")[0] in wanted
