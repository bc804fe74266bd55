"""What must come of raw records, by the pure functions: the chain may neither lose nor add nor change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from app.domain.classify import Intake, classify
from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.records import RawRecord, raw_record
from app.domain.rows import Rows
from app.settings import Settings
from app.topics import RAW, full_name
from tests.support.rows import Key, Stored, as_stored
from tests.support.topics import Letter, Raw, Sent, total


class Expected(msgspec.Struct):
    """Rows by event and post, with their raw JSON; several where a post was sent several times. Dead letters by id.

    `removed` are the buckets of those that were deleted by their source, and may not stand.
    """

    rows: dict[Key, list[tuple[Stored, str]]] = {}
    removed: dict[Key, str] = {}
    letters: dict[str, Letter] = {}
    intake: Intake = msgspec.field(default_factory=Intake)

    def __repr__(self) -> str:
        """Nothing of a post."""
        return f"Expected({len(self.rows)} rows, {len(self.letters)} letters, {self.intake})"


def expected(settings: Settings, events: Mapping[str, Event], sent: Iterable[tuple[Raw, Sent]]) -> Expected:
    """What must come of records that were sent while these events stood."""
    matcher = Matcher(events.values())
    found = Expected()
    deleted: set[str] = set()
    for raw, at in sent:
        record = _record(settings, raw, at)
        classified = classify([record], matcher, settings.partitions)
        for bundle in classified.bundles:
            for line, post in zip(bundle.lines, bundle.posts, strict=True):
                row = Rows().row(bundle.event, bundle.event.version, line, post)
                found.rows.setdefault((row.code, row.post.id), []).append((as_stored(row), row.post.raw.decode()))
        deleted |= {one.post for one in classified.retractions}
        found.letters |= {letter.id: Letter(letter.reason, letter.value) for letter in classified.dead}
        found.intake.add(total(part for parts in classified.intake.values() for part in parts))
    found.removed = {key: made[0][0]["bucket"] for key, made in found.rows.items() if key[1] in deleted}
    found.rows = {key: made for key, made in found.rows.items() if key not in found.removed}
    found.intake.offset = -1
    return found


def _record(settings: Settings, raw: Raw, at: Sent) -> RawRecord:
    name = full_name(RAW, settings)
    return raw_record(name, at.partition, at.offset, raw.value, dict(raw.headers), at.timestamp)


def differences(
    wanted: Expected, stored: Mapping[Key, Stored], raw: Mapping[Key, Stored]
) -> list[tuple[str, Key | str]]:
    """What is wrong with what is stored, without showing a post: a word, and the event and post or the column."""
    wrong: list[tuple[str, Key | str]] = [("lost", key) for key in wanted.rows.keys() - stored.keys()]
    wrong += [("added", key) for key in stored.keys() - wanted.rows.keys()]
    wrong += [("raw without a row, or a row without raw", key) for key in stored.keys() ^ raw.keys()]
    for key in wanted.rows.keys() & stored.keys() & raw.keys():
        row, json = stored[key], raw[key]
        candidates = [made for made, text in wanted.rows[key] if text == json["json"]]
        if not candidates:
            wrong.append(("another raw JSON", key))
        elif row not in candidates:
            wrong += [(name, key) for name in row if all(row[name] != made[name] for made in candidates)]
        if row["bucket"] != json["bucket"]:
            wrong.append(("raw JSON in another bucket", key))
    return wrong
