"""What an event has still to hear, how far it is, and which of its posts may be written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from app.domain.classify import Intake, classify
from app.domain.events import Change, Event, Rematch, Status
from app.domain.matcher import Matcher
from app.domain.records import RawRecord, classified_headers, classified_record
from app.domain.rematch import MAX_SOURCES, OTHER_SOURCES, Progress, Stretch, cannot_hear, due, kept_wishes
from app.domain.rows import Row, Rows
from app.domain.standing import Standing, left, yields
from tests import builders

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def hours(number: int) -> datetime:
    return NOW - timedelta(hours=number)


def event(*wishes: tuple[int, int], born: int = 1, **more: Any) -> Event:
    given = {"code": "flood", "name": "Flood", "keywords": ("water",), "status": "active", "version": 9}
    history = (Change(version=born, at=NOW, who="ann", action="create"),)
    rematches = tuple(Rematch(version, hours(back)) for version, back in wishes)
    return Event(**given | more, rematches=rematches, history=history)


def progress(version: int, back: int, **more: Any) -> Progress:
    given = {"code": "flood", "born": 1, "until": NOW, "at": NOW, "stretches": {0: Stretch(10, 10, 30)}}
    return Progress(version=version, since=hours(back), **given | more)


def record(source: str, **more: Any) -> RawRecord:
    return RawRecord("raw", 0, 0, b"", 0, source, **more)


@pytest.mark.parametrize(
    ("wishes", "told", "wanted"),
    [
        ([], None, None),
        ([(2, 1)], None, (2, 1)),
        ([(2, 3), (4, 1)], None, (4, 3)),
        ([(2, 1)], progress(2, 1), (2, 1)),
        ([(2, 1)], progress(2, 1, state="waiting"), (2, 1)),
        ([(2, 1)], progress(2, 1, state="done"), None),
        ([(2, 1)], progress(2, 1, state="ended"), None),
        ([(2, 3), (4, 1)], progress(2, 3), (4, 3)),  # what the older has left
        ([(2, 3), (4, 1)], progress(2, 3, state="done"), (4, 1)),
        ([(2, 3), (4, 1), (5, 2)], progress(2, 3, state="done"), (5, 2)),
        ([(2, 1)], progress(1, 5, born=0), (2, 1)),  # of an event that was purged
    ],
)
def test_what_is_due(wishes: list[tuple[int, int]], told: Progress | None, wanted: tuple[int, int] | None) -> None:
    found = due(event(*wishes), told)
    assert found == (None if wanted is None else Rematch(wanted[0], hours(wanted[1])))


def test_which_events_hear() -> None:
    hearing = {status for status in get_args(Status) if cannot_hear(event(status=status)) is None}
    assert hearing == {"active", "paused", "stopped"}


def test_progress_grows_to_its_stop_line() -> None:
    begun = progress(2, 1, stretches={0: Stretch(10, 10, 30), 1: Stretch(5, 5, 5)})
    assert (begun.records_done, begun.records_all, begun.reached) == (0, 20, False)
    heard = [(record("x"), Intake(posts=3, matched=1)), (record("bluesky"), Intake(posts=2))]
    half = begun.after({0: 20}, heard, NOW)
    assert (half.records_done, half.posts, half.matched, half.sources) == (10, 5, 1, {"x": 3, "bluesky": 2})
    whole = half.after({0: 40, 1: 7}, [(record("x"), Intake(posts=1))], NOW)
    assert whole.stretches == {0: Stretch(10, 30, 30), 1: Stretch(5, 5, 5)}
    assert whole.reached
    assert (whole.chosen, whole.only_chosen) == (4, False)
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Progress) == whole


@pytest.mark.parametrize(
    ("records", "only"),
    [
        ([], False),
        ([record("x"), record("x-v1")], True),
        ([record("x"), record("unknown")], False),
        ([record("bluesky")], False),
        ([record("bluesky", filtered=True), record("x")], True),
        ([record("bluesky", event="flood")], True),  # what a wish has brought
        ([record("bluesky", filtered=True), record("bluesky")], False),
    ],
)
def test_it_is_known_whether_all_that_was_heard_had_been_chosen(records: list[RawRecord], only: bool) -> None:
    after = progress(2, 1).after({}, [(one, Intake(posts=2)) for one in records], NOW)
    assert after.only_chosen is only


def test_a_wish_of_a_source_is_no_rematch_of_what_is_kept() -> None:
    wishes = (Rematch(2, hours(1)), Rematch(3, hours(5), "bluesky"))
    asked = msgspec.structs.replace(event(), rematches=wishes)
    assert due(asked, None) == Rematch(2, hours(1))
    assert due(asked, progress(2, 1, state="done")) is None
    assert kept_wishes(asked) == [Rematch(2, hours(1))]


def test_sources_are_bounded() -> None:
    grown = progress(2, 1)
    for number in range(100):
        grown = grown.after({}, [(record(f"s{number}"), Intake(posts=1))], NOW)
    assert len(grown.sources) == MAX_SOURCES + 1
    assert grown.sources[OTHER_SOURCES] == 100 - MAX_SOURCES


# ---- which rows may be written

POST = builders.line(builders.status("water"))


def row(
    origin: str, *, version: int = 9, rematch: int = 0, received_at: int = 1, offset: int = 0, generation: int = 0
) -> Row:
    """A row as it is made of what classification sends."""
    raw = RawRecord("raw", 0, offset, POST, received_at, "x", origin, generation=generation)
    (bundle,) = classify([raw], Matcher([event(version=version)]), 4).bundles
    headers = dict(classified_headers(version, bundle.lines, rematch))
    record = classified_record(b"flood", b"\n".join(bundle.posts), headers)
    assert (record.rematch, record.lines[0].origin) == (rematch, origin)
    return Rows().row(bundle.event, record.version, record.lines[0], record.posts[0], record.rematch)


def kept(*rows: Row, standing: Standing | None = None) -> list[int]:
    """Which of the rows are kept, by their place."""
    known = {} if standing is None else {rows[0].key: standing}
    return [place for place, _ in left(enumerate(rows), known)]


LIVE, AGAIN, SEARCH = row("live"), row("rematch", rematch=7), row("search", received_at=5)
IMPORT = row("import", received_at=5)
WISHED = row("rematch", received_at=5)  # what a source was asked for names no wish
TRACKED = row("live", generation=3, received_at=5)


def test_only_what_hears_the_past_yields() -> None:
    assert [yields(one) for one in (LIVE, row("replay"), AGAIN, SEARCH, IMPORT)] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("one", "standing", "written"),
    [
        (TRACKED, None, True),
        (TRACKED, Standing("live", 9, 5), True),  # itself, before a kill
        (TRACKED, Standing("live", 9, 6), False),  # as another tracker has heard it
        (AGAIN, None, True),
        (AGAIN, Standing("live", 9, 1), False),
        (AGAIN, Standing("replay", 9, 1), False),
        (AGAIN, Standing("search", 9, 1), False),
        (AGAIN, Standing("rematch", 7, 1), True),  # written before a kill
        (AGAIN, Standing("rematch", 9, 1), True),
        (AGAIN, Standing("rematch", 6, 1), False),  # by an older rematch
        (AGAIN, Standing("rematch", 9, 5), False),  # by a source that was asked
        (WISHED, None, True),
        (WISHED, Standing("rematch", 9, 5), True),
        (WISHED, Standing("rematch", 9, 4), False),  # sent twice, as its tracker was killed, or by a rematch
        (WISHED, Standing("live", 9, 5), False),
        (SEARCH, None, True),
        (SEARCH, Standing("live", 9, 5), False),
        (SEARCH, Standing("rematch", 9, 5), False),
        (SEARCH, Standing("search", 9, 5), True),
        (SEARCH, Standing("search", 9, 4), False),
        (IMPORT, None, True),
        (IMPORT, Standing("import", 9, 5), True),  # itself, before a kill
        (IMPORT, Standing("import", 9, 4), False),  # of another record of the archive
        (IMPORT, Standing("live", 9, 5), False),
        (LIVE, Standing("live", 3, 4), True),
        (LIVE, Standing("search", 3, 4), False),
        (LIVE, Standing("import", 3, 4), False),
        (LIVE, Standing("rematch", 3, 4), False),
    ],
)
def test_who_came_first_stays(one: Row, standing: Standing | None, written: bool) -> None:
    assert kept(one, standing=standing) == ([0] if written else [])


def test_of_the_copies_in_a_batch_the_first_way_stays() -> None:
    assert kept(LIVE, AGAIN) == [0]
    assert kept(AGAIN, LIVE) == [0]
    assert kept(LIVE, row("live", offset=4)) == [0, 1]
    assert kept(AGAIN, row("rematch", rematch=7, offset=4)) == [0, 1]
    assert kept(IMPORT, row("import", received_at=6, offset=4)) == [0]
    assert kept(IMPORT, LIVE) == [0]


def test_what_an_import_a_search_or_a_source_that_was_asked_has_brought_is_noted_as_such() -> None:
    """A rematch of what is kept has positions of its own, by which it is known."""
    assert [one.seen().past for one in (LIVE, row("replay"), AGAIN, SEARCH, IMPORT, WISHED)] == [
        *[False, False, False],
        *[True, True, True],
    ]
    assert kept(AGAIN, row("rematch", rematch=10, version=10, offset=4)) == [0]
