"""When what is observed becomes a notice, and when that is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.conditions import Condition
from app.domain.notices import (
    DAY_MS,
    KEPT_MS,
    MOST_KEPT,
    Began,
    Entry,
    Message,
    Mute,
    Notice,
    check_mute,
    entry,
    to_forget,
)
from app.domain.noting import SEEN_MS, Noting, addressed

T0 = 1_800_000_000_000
GAP = Condition(key="gap|x", kind="gap", since=T0, title="x is not heard", source="x", patience=60_000)
CALM = 60_000


class Look:
    """Looks every two seconds of its own clock, and keeps what is written, as the topic does."""

    def __init__(self) -> None:
        self.items: dict[str, Entry] = {}
        self.now = T0
        self.anew()

    def anew(self) -> None:
        """Another process has the duty."""
        self.noting = Noting(CALM)

    def until(self, second: int, *conditions: Condition) -> list[str]:
        """Look until a second; what became a notice, each as its second and id."""
        told = []
        while self.now < T0 + second * 1000:
            self.now += 2000
            found = self.noting.look(self.items, [], conditions, lambda one, at: (f"over at {at - T0}", ""), self.now)
            told += [f"{(self.now - T0) // 1000} {one.id}" for one in found if one.id not in self.items]
            self.items |= {one.key: one for one in found}
        return told

    def sleep(self, seconds: int) -> None:
        self.now += seconds * 1000


BEGUN, OVER = f"gap:x:{T0}", f"gap:x:{T0}:over"


def test_a_gap_is_told_once_it_has_lasted_and_once_when_it_is_over() -> None:
    look = Look()
    assert look.until(300, GAP) == [f"60 {BEGUN}"]
    assert look.until(600) == [f"362 {OVER}"]
    over = look.items[OVER]
    assert isinstance(over, Notice)
    assert (over.title, over.since, over.phase) == ("over at 302000", T0 + 302_000, "over")


def test_what_is_short_is_told_to_nobody() -> None:
    look = Look()
    assert look.until(58, GAP) == []
    assert look.until(600) == []


def test_what_flaps_is_told_once() -> None:
    look = Look()
    told = look.until(62, GAP)
    for second in range(70, 1000, 20):
        told += look.until(second)
        told += look.until(second + 10, GAP)
    assert told == [f"60 {BEGUN}"]
    assert [line.split()[1] for line in look.until(1200)] == [OVER]


def test_another_process_goes_on_with_what_was_told() -> None:
    look = Look()
    look.until(100, GAP)
    look.anew()
    assert look.until(200, GAP) == []
    look.until(230)
    look.anew()
    assert look.until(400) == [f"292 {OVER}"], "its calm begins anew: late, and not twice"


def test_another_process_knows_how_long_it_has_lasted() -> None:
    look = Look()
    look.until(58, GAP)
    look.anew()
    assert look.until(100, GAP) == [f"70 {BEGUN}"]


def test_a_kill_between_the_two_writes_of_an_end_doubles_nothing() -> None:
    look = Look()
    look.until(100, GAP)
    standing = look.items[BEGUN]
    look.until(300)
    look.items[BEGUN] = standing
    look.anew()
    assert look.until(500) == []
    stood = look.items[BEGUN]
    assert isinstance(stood, Notice)
    assert not stood.stands


def test_what_the_views_show_after_a_standstill_must_be_seen_for_a_while() -> None:
    look = Look()
    look.until(10)
    look.sleep(200)
    assert look.until(218, GAP) == []
    assert look.until(400, GAP) == [f"222 {BEGUN}"]


def test_a_refusal_needs_no_patience_but_must_be_seen() -> None:
    refused = Condition(key="refused|x|flood|ab", kind="refused", since=T0, title="")
    assert Look().until(100, refused) == [f"12 refused:x:flood:ab:{T0}"]
    assert SEEN_MS == 10_000


def test_what_happened_is_told_once() -> None:
    once = notice("started:flood:1")
    noting = Noting(CALM)
    assert noting.look({}, [once], [], lambda *_: ("", ""), T0) == [once]
    assert noting.look({once.key: once}, [once], [], lambda *_: ("", ""), T0) == []


def notice(name: str, kind: Any = "started", **rest: Any) -> Notice:
    return Notice(**{"id": name, "kind": kind, "at": T0, "since": T0, "title": name, "events": ("flood",)} | rest)


def mute(**rest: Any) -> Mute:
    return Mute(id="m", at=datetime.fromtimestamp(T0 / 1000, UTC), who="ana", **rest)


LATER = datetime.fromtimestamp(T0 / 1000, UTC) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("muted", "kept"),
    [
        (mute(), True),
        (mute(event="flood"), True),
        (mute(event="fire"), False),
        (mute(kind="started"), True),
        (mute(kind="gap"), False),
        (mute(event="flood", kind="started", until=LATER), True),
        (mute(until=LATER - timedelta(hours=1)), False),
    ],
)
def test_a_mute_keeps_notices_from_everybody(muted: Mute, kept: bool) -> None:
    (one,) = addressed([notice("a")], ["webhook", "mail"], [muted], T0)
    assert (one.due, one.muted) == (((), "m") if kept else (("webhook", "mail"), ""))


@pytest.mark.parametrize("events", [(), ("flood", "fire")])
def test_a_mute_of_one_event_does_not_keep_what_concerns_others(events: tuple[str, ...]) -> None:
    (one,) = addressed([notice("a", events=events)], ["mail"], [mute(event="flood")], T0)
    assert one.due == ("mail",)


def test_the_end_goes_to_those_who_were_told_that_it_began() -> None:
    def end(due: tuple[str, ...], muted: str = "") -> Notice:
        (one,) = addressed([notice("a", phase="over", due=due, muted=muted)], ["webhook", "mail"], [], T0)
        return one

    assert end(("mail", "gone")).due == ("mail",)
    assert (end((), "m").due, end((), "m").muted) == ((), "m")


def test_what_is_noted_as_over_keeps_who_was_told() -> None:
    begun = notice("a", phase="begun", due=("mail",), over=T0)
    assert addressed([begun], ["webhook"], [mute()], T0) == [begun]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (mute(until=LATER - timedelta(hours=1)), "over before"),
        (mute(until=datetime(2030, 1, 1)), "no time zone"),
        (mute(why="a" * 501), "501 characters"),
    ],
)
def test_a_mute_that_makes_no_sense_is_refused(wrong: Mute, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_mute(wrong)


def items(some: Iterable[Entry]) -> dict[str, Entry]:
    return {one.key: one for one in some}


def test_old_notices_are_forgotten_with_their_messages() -> None:
    old = notice("old", at=T0 - KEPT_MS - 1)
    stands = notice("stands", at=T0 - KEPT_MS - 1, phase="begun")
    known = items(
        [
            old,
            stands,
            notice("new"),
            Began(at=0),
            Message(id="1", receiver="mail", at=T0, notices=("old",)),
            Message(id="2", receiver="mail", at=T0, notices=("old", "new")),
        ]
    )
    assert to_forget(known, T0) == ["old", "message|1"]


def test_of_very_many_the_newest_are_kept_and_what_makes_an_old_one_news_again() -> None:
    many = [notice(f"n{number}", at=T0 - 3 * DAY_MS + number) for number in range(MOST_KEPT + 5)]
    budget = notice("budget", "budget", at=T0 - 4 * DAY_MS)
    assert to_forget(items([*many, budget]), T0) == [f"n{number}" for number in (4, 3, 2, 1, 0)]
    young = [notice(f"n{number}", at=T0 - DAY_MS) for number in range(MOST_KEPT + 5)]
    assert to_forget(items(young), T0) == []


def test_an_entry_is_read_as_it_was_written() -> None:
    import msgspec  # noqa: PLC0415

    for one in (notice("a", due=("mail",)), Began(at=1), Message(id="1", receiver="mail", at=1, notices=("a",))):
        assert entry(msgspec.json.encode(one)) == one
