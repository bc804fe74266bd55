"""What a source is asked for, and what it turns out to have, to lack or to have lost: as the ledger is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from app.domain.coverage import InForce
from app.domain.events import Event
from app.sources.source import Broken, Opened, Resume, Selection, Sure, Trouble
from app.tracking import listening
from app.tracking.filling import Filler
from app.tracking.ledger import now_ms
from tests.support.listened import (
    EVENT,
    HOUR,
    LATE,
    Holder,
    Item,
    Missed,
    Told,
    be_impatient,
    interval,
    line,
    listened,
    until,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_impatient(monkeypatch)


async def test_a_source_is_asked_for_the_same_again(tmp_path: Path) -> None:
    """What it refused it may take later, and what it was asked for it may have lost."""
    source = Told(lambda _: [Opened()])
    source.selection = Selection({}, {"flood": ("no room",)})
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals))
        assert (source.selected, written.intervals[0].events) == (1, [])
        await asyncio.sleep(0.1)  # ten looks
        assert source.selected == 1
    source.again_seconds = 0.01
    source._connections.append(lambda _: [Opened()])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals) and source.selected > 3)
        source.selection = Selection({"flood": 1})
        await until(lambda: bool(written.intervals[0].events))
        assert written.intervals[0].events[0].version == 1
        asked = source.selected
        await until(lambda: source.selected > asked)


async def test_a_source_that_has_something_left_to_do_is_asked_again_when_it_wants(tmp_path: Path) -> None:
    source = Told(lambda _: [Opened()])
    source.selections = [Selection({"flood": 1}, again=0.01)]
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals) and source.selected == 2)
        await asyncio.sleep(0.1)  # ten looks
        assert source.selected == 2
        assert [(one.version, one.until) for one in written.intervals[0].events] == [(1, None)]


async def test_what_a_source_does_in_steps_is_through_before_it_is_connected(tmp_path: Path) -> None:
    source = Told(lambda _: [Opened()])
    source.selections = [Selection(again=0.0), Selection(again=0.0)]
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals))
        assert source.selected == 3
        assert [one.code for one in written.intervals[0].events] == ["flood"]


async def test_what_a_source_has_lost_was_not_heard_since_it_was_seen_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Told(lambda _: [Opened()])
    both = source.selection = Selection({"flood": 1, "storm": 1})
    wanted = [EVENT, replace(EVENT, code="storm")]
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        await asyncio.sleep(0.05)
        seen_ms = now_ms()
        await asyncio.sleep(0.05)
        source.selections = [Selection({"storm": 1}, {"storm": ("a rule is gone",)}, since_ms=seen_ms, again=0.0)]
        source.selection = both
        noticed_ms = now_ms()
        wanted.append(replace(EVENT, code="new"))
        await until(lambda: len(written.intervals[0].events) == 3)
        storm, before, after = sorted(written.intervals[0].events, key=lambda one: (one.code == "flood", one.since))
        assert (storm.code, storm.until) == ("storm", None)
        assert before.until == seen_ms
        assert after.since >= noticed_ms
        told = {one.code: (one.what, one.since, one.until) for one in written.intervals[0].refused}
        assert told == {
            "storm": (("a rule is gone",), seen_ms, after.since),
            "flood": (("it had lost what it was asked for",), seen_ms, told["flood"][2]),
        }
        assert noticed_ms <= (told["flood"][2] or 0) <= after.since
    (logged,) = [one for one in caplog.records if one.getMessage() == "the source has lost what it was asked for"]
    assert logged.__dict__["events"] == ["flood", "storm"]


async def test_what_a_source_has_lost_is_not_heard_until_it_takes_it_again(tmp_path: Path) -> None:
    """As where it has no room, takes back the old first, and then fails."""
    source, wanted = Told(lambda _: [Opened()]), [EVENT]
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        source.selections = [Selection(again=0.0)]
        source.against = Broken(Trouble.HTTP, "503", retry_after=LATE)
        wanted[:] = [replace(EVENT, version=2)]
        await until(lambda: bool(written.intervals[0].refused))
        ((refused,), (flood,)) = written.intervals[0].refused, written.intervals[0].events
        assert flood.until is not None
        assert refused.what == ("what was changed last is not asked for yet: 503",)
        source.against, source.selection = None, Selection({"flood": 3})
        wanted[:] = [replace(EVENT, version=3)]
        await until(lambda: [one.version for one in written.intervals[0].events] == [1, 3])


async def test_an_edit_that_the_source_does_not_take_is_not_heard_whole(tmp_path: Path) -> None:
    source, wanted = Told(lambda _: [Opened()]), [EVENT]
    source.selection = Selection({"flood": 1}, {"flood": ("a word alone is too broad",)})
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        source.against = Broken(Trouble.HTTP, "503", retry_after=0.0)
        wanted[:] = [replace(EVENT, version=2, keywords=("flood", "storm")), replace(EVENT, code="new")]
        said = "what was changed last is not asked for yet: 503"
        await until(lambda: len(written.intervals[0].refused) == 3)
        late = {one.code: one.what for one in written.intervals[0].refused if one.until is None}
        assert late == {"flood": ("a word alone is too broad", said), "new": (said,)}
        assert [(one.code, one.version, one.until) for one in written.intervals[0].events] == [("flood", 1, None)]
        source.against, source.selection = None, Selection({"flood": 2, "new": 1})
        await until(lambda: len(written.intervals[0].events) == 3)
        assert all(one.until is not None for one in written.intervals[0].refused)


async def test_what_is_asked_for_is_taken_back_when_no_event_is_active(tmp_path: Path) -> None:
    source, wanted = Told(), []
    source.against = Broken(Trouble.NETWORK, "503")
    async with listened(source, tmp_path, wanted=wanted, holder=Holder(sure=True)) as written:
        await until(lambda: "does not take back what it was asked for: 503" in written.words)
        assert written.words.startswith(listening.IDLE)
        source.against = None
        await until(lambda: written.words == listening.IDLE)
        assert source.selected == 2


@pytest.mark.parametrize("trouble", [Trouble.RATE, Trouble.HTTP, Trouble.DENIED])
async def test_a_connection_is_not_held_for_an_edit_that_is_put_off_once_no_event_is_active(
    tmp_path: Path, trouble: Trouble
) -> None:
    source, wanted = Told(lambda _: [Opened()]), [EVENT]
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        source.against = Broken(trouble, "no", retry_after=LATE)
        wanted[:] = [replace(EVENT, version=2)]
        await until(lambda: bool(written.intervals[0].refused))
        wanted.clear()
        await until(lambda: written.intervals[0].ended == listening.IDLE)


async def test_a_new_edit_is_tried_at_once_where_the_one_before_was_refused(tmp_path: Path) -> None:
    source, wanted = Told(lambda _: [Opened()]), [EVENT]
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        source.against = Broken(Trouble.HTTP, "no such keyword", retry_after=LATE)
        wanted[:] = [replace(EVENT, version=2)]
        await until(lambda: bool(written.intervals[0].refused))
        source.against, source.selection = None, Selection({"flood": 3})
        wanted[:] = [replace(EVENT, version=3)]
        await until(lambda: [one.version for one in written.intervals[0].events] == [1, 3])
        assert source.selected == 3


async def test_an_edit_taken_back_while_it_is_put_off_is_asked_for_again(tmp_path: Path) -> None:
    """What the failed request has changed nobody knows."""
    source, wanted = Told(lambda _: [Opened()]), [EVENT]
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        source.against = Broken(Trouble.HTTP, "503", retry_after=LATE)
        wanted.append(replace(EVENT, code="new"))
        await until(lambda: bool(written.intervals[0].refused))
        source.against = None
        wanted.pop()
        await until(lambda: source.selected == 3)
        await until(lambda: all(one.until is not None for one in written.intervals[0].refused))


async def test_a_rate_limit_is_waited_for_whatever_is_edited_and_no_edit_is_counted_as_heard(tmp_path: Path) -> None:
    source, wanted = Told(lambda _: [Opened()]), [EVENT]
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        source.against = Broken(Trouble.RATE, "429", retry_after=LATE)
        wanted[:] = [replace(EVENT, version=2)]
        await until(lambda: bool(written.intervals[0].refused))
        wanted.append(replace(EVENT, code="new"))
        await until(lambda: {one.code for one in written.intervals[0].refused} == {"flood", "new"})
        assert [one.code for one in written.intervals[0].events] == ["flood"]
        assert source.selected == 2


async def test_a_tracker_that_is_not_sure_of_its_lease_changes_nothing_at_the_source(tmp_path: Path) -> None:
    source, wanted, holder = Told(lambda _: [Opened()]), [EVENT], Holder(sure=True)
    source.changes = True
    async with listened(source, tmp_path, wanted=wanted, holder=holder) as written:
        await until(lambda: bool(written.intervals))
        holder.sure = False
        source.selection = Selection({"flood": 2})
        wanted[:] = [replace(EVENT, version=2)]
        await until(lambda: bool(written.intervals[0].refused))
        assert "not sure of its lease" in written.intervals[0].refused[0].what[0]
        assert [one.version for one in written.intervals[0].events] == [1]
        holder.sure = True
        await until(lambda: [one.version for one in written.intervals[0].events] == [1, 2])


async def test_a_tracker_that_is_not_sure_of_its_lease_takes_nothing_back(tmp_path: Path) -> None:
    source, holder = Told(), Holder()
    async with listened(source, tmp_path, wanted=[], holder=holder) as written:
        await until(lambda: written.words == listening.IDLE)
        await asyncio.sleep(0.1)  # ten looks
        assert source.selected == 0
        holder.sure = True
        await until(lambda: source.selected == 1)


async def test_a_connection_that_ends_while_kafka_is_away_is_made_anew_with_what_stands_at_the_source(
    tmp_path: Path,
) -> None:
    wanted, holder = [EVENT], Holder(sure=True)

    def cut(_: Resume) -> list[Item]:
        holder.sure = False
        wanted[:] = [replace(EVENT, version=2)]
        return [Opened(), Broken(Trouble.ENDED, "cut")]

    source = Told(cut, lambda _: [Opened()])
    source.changes = True
    async with listened(source, tmp_path, wanted=wanted, holder=holder) as written:
        await until(lambda: len(written.intervals) == 2)
        assert [one.version for one in written.intervals[1].events] == [1]
        source.selection = Selection({"flood": 2})
        holder.sure = True
        await until(lambda: [one.version for one in written.intervals[1].events] == [1, 2])


@pytest.mark.parametrize("trouble", [Trouble.RATE, Trouble.HTTP])
async def test_a_source_that_does_not_speak_of_what_it_is_asked_for_is_heard_by_what_stands_there(
    tmp_path: Path, trouble: Trouble
) -> None:
    wanted = [EVENT]

    def cut(_: Resume) -> list[Item]:
        source.against = Broken(trouble, "no rules now", retry_after=LATE)
        wanted[:] = [replace(EVENT, version=2), replace(EVENT, code="new")]
        return [Opened(), Broken(Trouble.ENDED, "cut")]

    source = Told(cut, lambda _: [Opened()])
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: len(written.intervals) == 2)
        again = written.intervals[1]
        assert [(one.code, one.version, one.since) for one in again.events] == [("flood", 1, again.opened)]
        said = "what was changed last is not asked for yet: no rules now"
        assert {one.code: (one.what, one.since) for one in again.refused} == {
            "flood": ((said,), again.opened),
            "new": ((said,), again.opened),
        }
        await asyncio.sleep(0.1)  # ten looks
        assert source.selected == 2, "it is asked again when it wants to be"


async def test_a_rate_limit_of_what_is_asked_for_holds_for_the_next_connections_too(tmp_path: Path) -> None:
    def cut(_: Resume) -> list[Item]:
        source.against = Broken(Trouble.RATE, "429", retry_after=LATE)
        return [Opened(), Broken(Trouble.ENDED, "cut")]

    source = Told(cut, cut, cut, lambda _: [Opened()])
    async with listened(source, tmp_path) as written:
        await until(lambda: len(written.intervals) == 4)
        assert source.selected == 2
        assert [one.version for interval in written.intervals for one in interval.events] == [1, 1, 1, 1]


async def test_a_source_of_which_nothing_is_known_is_not_connected_until_it_takes_what_is_wanted(
    tmp_path: Path,
) -> None:
    source = Told(lambda _: [Opened()])
    source.against = Broken(Trouble.HTTP, "503 for its rules", retry_after=LATE)
    wanted = [EVENT]
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: written.words.startswith("503 for its rules; tries again in"))
        assert (source.resumed, written.intervals) == ([], [])
        source.against, source.selection = None, Selection({"flood": 2})
        wanted[:] = [replace(EVENT, version=2)]
        await until(lambda: bool(written.intervals))


async def test_what_is_found_lost_was_not_heard_by_the_connections_since_it_was_seen_either(tmp_path: Path) -> None:
    seen = asyncio.Event()
    source = Told(lambda _: [Opened(), seen, [line(5, now_ms())], Broken(Trouble.ENDED, "cut")], lambda _: [Opened()])
    wanted = [EVENT, replace(EVENT, code="storm")]
    source.selection = Selection({"flood": 1, "storm": 1})
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        await asyncio.sleep(0.05)
        seen_ms = now_ms()
        await asyncio.sleep(0.05)
        source.selections = [Selection({"flood": 1}, since_ms=seen_ms, again=0.0)]
        seen.set()
        await until(lambda: len(written.intervals) == 2)
        before, after = written.intervals
        assert before.until > seen_ms
        assert {one.code: one.until for one in before.events} == {"flood": None, "storm": seen_ms}
        assert [(one.code, one.since, one.until) for one in before.refused] == [("storm", seen_ms, None)]
        assert {one.code: one.until for one in after.events} == {"flood": None, "storm": None}
        assert before.revised == 1, "it stands in Cassandra instead of what was told of its end"


def delivering(*items: Item) -> Callable[[Resume], list[Item]]:
    """A connection that delivers all since it was last heard."""
    return lambda resume: [Opened(resume.heard_ms), *items]


async def test_of_what_comes_by_a_later_connection_an_event_has_nothing_from_before_it_was_asked_for(
    tmp_path: Path,
) -> None:
    wanted = [EVENT, replace(EVENT, code="storm")]

    def cut(_: Resume) -> list[Item]:
        wanted[1:] = [replace(EVENT, code="storm", version=2), replace(EVENT, code="new")]
        source.selection = Selection({"flood": 1, "storm": 2}, {"storm": ("a: no",), "new": ("b: no",)})
        return [Opened(), Broken(Trouble.ENDED, "cut", retry_after=0.05)]

    source = Told(cut, delivering())
    source.selective = True
    source.selection = Selection({"flood": 1, "storm": 1})
    filler = Missed()
    async with listened(source, tmp_path, wanted=wanted, filler=cast(Filler, filler)) as written:
        await until(lambda: len(written.intervals) == 2 and len(filler.spans) == 1)
    before, after = written.intervals
    assert after.since == before.until < after.opened
    since = {one.code: one.since for one in after.events}
    assert since["flood"] == after.since
    assert before.until < since["storm"] <= after.opened
    late = {one.code: one.since for one in after.refused}
    assert late == {"storm": since["storm"], "new": since["storm"]}
    assert filler.lost == {"storm": [(after.since, since["storm"])]}, "it is searched for"


class PutsBack(Told):
    """A source that says, when it is asked, that something is missing since just then."""

    async def select(self, events: Sequence[Event], sure: Sure) -> Selection:
        selection = await super().select(events, sure)
        return replace(selection, since_ms=now_ms()) if selection.refused else selection


async def test_what_was_lost_in_between_is_claimed_since_it_was_put_back(tmp_path: Path) -> None:
    def cut(_: Resume) -> list[Item]:
        source.selections = [Selection({"flood": 1, "fire": 1}, {"fire": ("a rule is gone",)}, again=0.0)]
        return [Opened(), Broken(Trouble.ENDED, "cut", retry_after=0.05)]

    source = PutsBack(cut, delivering())
    source.selective = True
    source.selection = Selection({"flood": 1, "storm": 1, "fire": 1})
    wanted, filler = [EVENT, replace(EVENT, code="storm"), replace(EVENT, code="fire")], Missed()
    async with listened(source, tmp_path, wanted=wanted, filler=cast(Filler, filler)) as written:
        await until(lambda: len(written.intervals) == 2 and "storm" in filler.lost)
    before, after = written.intervals
    since = {one.code: one.since for one in after.events}
    assert since["flood"] == after.since == before.until
    assert before.until < since["fire"] <= since["storm"] <= after.opened


async def test_what_a_source_had_lost_is_searched_for_once_it_is_asked_for_again_or_wanted_no_more(
    tmp_path: Path,
) -> None:
    source, filler = Told(lambda _: [Opened()]), Missed()
    source.selection = Selection({"flood": 1, "storm": 1, "fire": 1})
    wanted = [EVENT, *(replace(EVENT, code=code) for code in ("storm", "fire"))]
    async with listened(source, tmp_path, wanted=wanted, filler=cast(Filler, filler)) as written:
        await until(lambda: bool(written.intervals))
        seen_ms = now_ms() - 1000
        lost = Selection({"fire": 1}, {"fire": ("a rule is gone",)}, since_ms=seen_ms, again=0.0)
        source.selections = [lost, Selection({"fire": 1}, {"flood": ("no room",)})]
        wanted[1:] = [replace(EVENT, code="fire", version=2)]
        await until(lambda: bool(filler.lost))
        ((lost_ms, over_ms),) = filler.lost["storm"]
        assert lost_ms == seen_ms < over_ms <= now_ms()
        assert filler.lost.keys() == {"storm"}, "what is missing still is not over, what is asked for in part was heard"
        source.selection = Selection({"flood": 1, "fire": 2})
        wanted[1:] = [replace(EVENT, code="fire", version=3)]
        await until(lambda: "flood" in filler.lost)
        ((lost_ms, back_ms),) = filler.lost["flood"]
        assert (lost_ms, over_ms <= back_ms) == (seen_ms, True)
        assert [one.since for one in written.intervals[0].events if one.code == "flood"][1] <= back_ms
        assert filler.spans == []


@pytest.mark.parametrize("selective", [True, False])
async def test_who_takes_over_claims_of_the_past_what_the_connection_before_was_asked_for(
    tmp_path: Path, selective: bool
) -> None:
    began, heard = now_ms() - 2 * HOUR, now_ms() - HOUR
    events = [
        InForce("flood", 1, began),
        InForce("storm", 1, began),
        InForce("fire", 1, began, heard - 1000),
        InForce("late", 1, heard + 500),
    ]
    source = Told(delivering())
    source.selective = selective
    source.selection = Selection({"flood": 1, "storm": 2, "fire": 1, "late": 1, "new": 1})
    taken = now_ms()
    async with listened(source, tmp_path, replace(interval(heard, 7), events=events)) as written:
        await until(lambda: bool(written.intervals))
    (one,) = written.intervals
    assert one.since == heard
    since = {one.code: one.since for one in one.events}
    if not selective:
        assert set(since.values()) == {heard}, "all posts come, whatever it is asked for"
        return
    assert (since["flood"], since["late"]) == (heard, heard + 500)
    assert all(taken <= since[code] <= one.opened for code in ("storm", "fire", "new"))
