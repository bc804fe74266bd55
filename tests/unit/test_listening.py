"""A source is listened to through the ends of its connections: where it goes on, and what is written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from app.settings import Settings
from app.sources.source import Broken, Fact, Opened, Resume, Trouble
from app.tracking import listening, outbox, taking
from app.tracking.budget import Budget
from app.tracking.filling import Filler
from app.tracking.ledger import now_ms
from app.tracking.spool import Spool
from app.tracking.taking import Taker
from tests.support.asleep import sleep
from tests.support.listened import (
    EVENT,
    HOUR,
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

DEAD = "dead socket: no sign of life for 0 s"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_impatient(monkeypatch)


async def test_what_is_left_open_is_ended_before_the_first_connection_and_after_a_dead_socket(tmp_path: Path) -> None:
    def silent(seconds: float, *items: Item) -> Callable[[Resume], list[Item]]:
        def told(_: Resume) -> list[Item]:
            source.silent_seconds = seconds
            return [Opened(), *items]

        return told

    source = Told(silent(25.0, Broken(Trouble.ENDED, "cut")), silent(0.05), silent(25.0))
    async with listened(source, tmp_path, holder=Holder(sure=True)) as written:
        await until(lambda: len(written.intervals) == 3)
        assert [one.ended for one in written.intervals] == ["cut", DEAD, None]
        assert source.released == [0, 2]


async def test_posts_that_come_with_the_end_of_a_connection_are_counted_too(tmp_path: Path) -> None:
    class Counted(Budget):
        counted = 0

        def read(self, posts: int) -> None:
            self.counted += posts

    spent = Counted(Settings(), "told", ())
    now = now_ms()
    source = Told(lambda _: [Opened(), [line(1, now), line(2, now), b"bye"]], lambda _: [Opened()])
    async with listened(source, tmp_path, budget=spent) as written:
        await until(lambda: len(written.intervals) == 2)
    assert written.intervals[0].ended == "the source said bye"
    assert spent.counted == 2


async def test_a_socket_is_dead_when_the_machine_wakes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Told(lambda _: [Opened()], lambda _: [Opened()])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals))
        sleep(monkeypatch, 3600)
        await until(lambda: len(written.intervals) == 2)
        assert (written.intervals[0].ended or "").startswith("dead socket")


async def test_a_connection_that_is_left_is_read_for_a_moment_more_that_it_does_not_claim(
    tmp_path: Path,
) -> None:
    last = asyncio.Event()
    source = Told(lambda _: [Opened(), last, [line(5, now_ms())]])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals))
        stopped = now_ms()
        asyncio.get_running_loop().call_later(0.02, last.set)
    (one,) = written.intervals
    assert (one.ended, one.posts) == (listening.STOPPED, 1)
    assert stopped <= one.until <= source.closed


async def test_a_connection_that_no_event_needs_is_heard_until_then(tmp_path: Path) -> None:
    source, wanted = Told(lambda _: [Opened(), [line(5, now_ms())]]), [EVENT]
    async with listened(source, tmp_path, wanted=wanted) as written:
        await until(lambda: bool(written.intervals))
        wanted.clear()
        stopped = now_ms()
        await until(lambda: written.intervals[0].ended == listening.IDLE)
        assert stopped <= written.intervals[0].until <= source.closed


@pytest.mark.parametrize("lose", [{"held": False}, {"tenure": 1}], ids=["frozen", "lost"])
async def test_a_connection_of_who_has_lost_the_lease_is_heard_to_its_last_sign_of_life(
    tmp_path: Path, lose: dict[str, int]
) -> None:
    source, holder = Told(lambda _: [Opened()]), Holder()
    async with listened(source, tmp_path, holder=holder) as written:
        await until(lambda: bool(written.intervals))
        await asyncio.sleep(0.1)
        vars(holder).update(lose)
    (one,) = written.intervals
    assert (one.ended, one.until) == (listening.STOPPED, one.opened)


async def test_a_connection_that_is_not_read_is_heard_to_the_last_line_that_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = asyncio.Event()
    source = Told(lambda _: [Opened(), more, [line(5, now_ms())], [line(6, now_ms())]])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals))
        monkeypatch.setattr(outbox, "WAITING_BYTES", -1)
        more.set()
        await until(lambda: written.intervals[0].posts == 1)
        known = written.intervals[0].until
        await asyncio.sleep(0.1)
    assert (written.intervals[0].until, written.intervals[0].posts) == (known, 1)


async def test_what_is_read_once_there_is_room_again_proves_nothing_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = asyncio.Event()
    source = Told(lambda _: [Opened(), more, [line(5, now_ms())], [line(6, now_ms())]])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals))
        with monkeypatch.context() as crowded:
            crowded.setattr(outbox, "WAITING_BYTES", -1)
            more.set()
            await until(lambda: written.intervals[0].posts == 1)
        known = written.intervals[0].until
        await until(lambda: written.intervals[0].posts == 2)
        assert written.intervals[0].until == known


async def test_a_source_that_is_asked_anew_is_heard_all_along(tmp_path: Path) -> None:
    asked = asyncio.Event()
    source = Told(lambda _: [Opened(), [line(5, now_ms())], asked, Opened(), [line(6, now_ms())]])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals))
        again = now_ms()
        asked.set()
        await until(lambda: [one.posts for one in written.intervals] == [1, 1])
        first, second = written.intervals
        assert (first.ended, second.ended) == ("the source was asked anew", None)
        assert again <= first.until <= second.since


async def test_a_connection_that_had_ended_before_the_source_was_asked_anew_is_heard_to_its_last_sign_of_life(
    tmp_path: Path,
) -> None:
    asked = asyncio.Event()
    source = Told(lambda _: [Opened(), [line(5, now_ms())], asked, Opened(gapless=False)])
    async with listened(source, tmp_path) as written:
        await until(lambda: [one.posts for one in written.intervals] == [1])
        read = now_ms()
        await until(lambda: now_ms() > read)
        asked.set()
        await until(lambda: len(written.intervals) == 2)
        first, second = written.intervals
        assert first.until <= read < second.since


async def test_a_connection_that_breaks_while_it_catches_up_is_followed_by_one_from_there(tmp_path: Path) -> None:
    now = now_ms()
    source = Told(
        lambda resume: [
            Opened(resume.heard_ms),
            [line(8, now - HOUR + 60_000), line(9, now - HOUR + 61_000)],
            Broken(Trouble.ENDED, "cut"),
        ],
        lambda resume: [Opened(resume.heard_ms), [line(9, now - HOUR + 61_000), line(10, now_ms())]],
    )
    async with listened(source, tmp_path, interval(now - HOUR, 7)) as written:
        await until(lambda: len(written.intervals) == 2 and not written.intervals[1].behind)
        first, second = written.intervals
    assert source.resumed == [Resume(7, now - HOUR), Resume(9, now - HOUR + 61_000)]
    assert (first.since, first.until, first.cursor, first.behind) == (now - HOUR, now - HOUR + 61_000, 9, True)
    assert (second.since, second.cursor, second.duplicates) == (now - HOUR + 61_000, 10, 1)
    assert second.until >= now


@pytest.mark.parametrize("more", [Fact(cursor=6), [b"5 6 0"]], ids=["left out", "came before"])
async def test_what_is_not_kept_moves_the_place_to_go_on(tmp_path: Path, more: Item) -> None:
    source = Told(lambda _: [Opened(), [line(5, now_ms())], more])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals) and written.intervals[0].cursor == 6)
        assert written.intervals[0].posts == 1


async def test_a_record_says_when_the_source_saw_the_last_of_its_lines(tmp_path: Path) -> None:
    source = Told(lambda _: [Opened(), [b"5 5 700", b"6 6 800"]])
    async with listened(source, tmp_path) as written:
        await until(lambda: bool(written.intervals) and written.intervals[0].posts == 2)
    (parcel,) = Spool(tmp_path, 10**7).first()
    assert (parcel.cursor, parcel.seen_ms) == (6, 800)


async def test_what_an_earlier_connection_has_told_says_nothing_of_the_next(tmp_path: Path) -> None:
    source = Told(
        lambda _: [Opened(), [line(5, now_ms())], Broken(Trouble.ENDED, "cut")],
        lambda resume: [Opened(resume.heard_ms), [b"notice"]],
    )
    async with listened(source, tmp_path) as written:
        await until(lambda: len(written.intervals) == 2 and written.intervals[1].lines == 1)
        assert written.intervals[1].behind


async def test_while_the_disk_takes_nothing_no_connection_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "WAITING_BYTES", 0)
    monkeypatch.setattr(taking, "_SETTLE_SECONDS", 0.0)
    record = [line(number, now_ms()) for number in range(Settings().record_posts)]
    source, spool = Told(lambda _: [Opened(), record], lambda _: [Opened()]), Spool(tmp_path, 10)
    async with listened(source, tmp_path, spool=spool) as written:
        await until(lambda: "0 bytes, 10 at most" in written.words)
        assert written.intervals[0].ended == written.words.partition(";")[0]
        await asyncio.sleep(1)  # several looks
        assert len(source.resumed) == 1
        spool.most = 10**7
        await until(lambda: len(written.intervals) == 2)
        await until(lambda: written.intervals[0].posts == len(record))


async def test_a_tracker_that_was_frozen_does_not_connect(tmp_path: Path) -> None:
    source, holder = Told(lambda _: [Opened()]), Holder()
    holder.held = False
    async with listened(source, tmp_path, holder=holder) as written:
        await asyncio.sleep(0.1)  # ten looks
        assert (source.selected, source.resumed) == (0, [])
        holder.held = True
        await until(lambda: bool(written.intervals))


async def test_what_was_missed_until_the_last_event_ended_is_searched_for_though_nothing_is_left_to_listen_for(
    tmp_path: Path,
) -> None:
    wanted = [EVENT]

    def refused(_: Resume) -> list[Item]:
        wanted.clear()
        return [Broken(Trouble.NETWORK, "unreachable")]

    source, filler, began = Told(refused), Missed(), now_ms()
    async with listened(source, tmp_path, interval(began - HOUR, 7), wanted, filler=cast(Filler, filler)):
        await until(lambda: bool(filler.spans))
    ((since, end),) = filler.spans
    assert since == began - HOUR
    assert began <= end <= now_ms()


async def test_what_came_while_nothing_was_to_be_paid_for_is_not_paid_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, filler = Told(lambda _: [Opened()]), Missed()
    now = time.time()
    monkeypatch.setattr("app.tracking.budget.time", lambda: now)
    budget = Budget(Settings(x_reads_hard=1), "x", ())
    budget.read(1)
    monkeypatch.setattr(listening, "_BUDGET_SECONDS", 0.05)
    known = interval(now_ms() - HOUR, 7)
    async with listened(source, tmp_path, known, filler=cast(Filler, filler), budget=budget) as written:
        await until(lambda: written.words.startswith("budget: 1 posts read"))
        monkeypatch.setattr("app.tracking.budget.time", lambda: now + 40 * 86_400)
        await until(lambda: bool(written.intervals))
    assert (source.resumed, filler.spans) == ([Resume()], [])


async def test_posts_on_a_disk_that_cannot_be_read_are_told_beside_what_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Taker, "unread", "a file cannot be read")
    async with listened(Told(lambda _: [Opened()]), tmp_path) as written:
        await until(lambda: written.words.endswith("; a file cannot be read"))
    monkeypatch.undo()


async def test_a_cursor_is_gone_on_from_with_the_name_of_its_server(tmp_path: Path) -> None:
    now = now_ms()
    ended = Broken(Trouble.ENDED, "cut")
    source = Told(
        lambda resume: [Opened(resume.heard_ms, server="new"), ended],
        lambda resume: [Opened(resume.heard_ms, server="new"), [line(9, now)], ended],
        lambda resume: [Opened(resume.heard_ms, server="new")],
    )
    last = replace(interval(now - HOUR, 7), server="old")
    async with listened(source, tmp_path, last) as written:
        await until(lambda: len(written.intervals) == 3)
    assert [(one.cursor, one.server) for one in source.resumed] == [(7, "old"), (7, "old"), (9, "new")]
    assert [one.server for one in written.intervals] == ["new"] * 3, "for whoever takes over"
