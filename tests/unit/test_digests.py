"""Which notices go together, when, and how they read."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.digests import (
    AWAY_MS,
    LINGER_MS,
    LISTED,
    MOST,
    REFUSED_MS,
    Rhythm,
    compose,
    is_hopeless,
    letter,
    next_message,
    one_line,
    pending,
    waiting,
)
from app.domain.notices import Entry, Message, Notice, outcomes

T0 = int(datetime(2026, 11, 28, 6, tzinfo=UTC).timestamp() * 1000)
AT_ONCE = Rhythm(60_000)


def notice(name: str, at: int = T0, **rest: Any) -> Notice:
    return Notice(**{"id": name, "kind": "started", "at": at, "since": at, "title": name, "due": ("mail",)} | rest)


def items(*some: Entry) -> dict[str, Entry]:
    return {one.key: one for one in some}


def test_the_first_goes_at_once_and_what_comes_after_it_goes_together() -> None:
    known = items(notice("a"))
    assert next_message(known, "mail", AT_ONCE, T0 + LINGER_MS - 1) is None
    first = next_message(known, "mail", AT_ONCE, T0 + LINGER_MS)
    assert first is not None
    assert first.notices == ("a",)
    known |= items(first, notice("c", T0 + 9_000), notice("b", T0 + 4_000))
    assert next_message(known, "mail", AT_ONCE, first.at + 59_999) is None
    second = next_message(known, "mail", AT_ONCE, first.at + 60_000)
    assert second is not None
    assert second.notices == ("b", "c")


def test_a_message_has_the_same_id_whoever_makes_it_and_another_for_each_receiver() -> None:
    known = items(notice("a", due=("mail", "webhook")))
    made = [
        next_message(known, name, AT_ONCE, T0 + more)
        for name, more in (("mail", 5000), ("mail", 9000), ("webhook", 5000))
    ]
    ids = [one.id for one in made if one is not None]
    assert ids[0] == ids[1] != ids[2]


def test_a_day_has_one_mail_at_its_hour() -> None:
    daily = Rhythm(60_000, time(7))
    known = items(notice("yesterday", T0 - 5_000), notice("today", T0 + 5_000))
    assert next_message(known, "mail", daily, T0 + 3_599_000) is None, "what came since yesterday's hour waits"
    message = next_message(known, "mail", daily, T0 + 3_600_000)
    assert message is not None
    assert message.notices == ("yesterday", "today")
    late = next_message(known, "mail", daily, T0 + 9 * 3_600_000)
    assert late is not None, "it was away at that hour"
    assert late.id == message.id


def test_nobody_is_told_what_is_due_to_others() -> None:
    assert next_message(items(notice("a")), "webhook", AT_ONCE, T0 + 99_999) is None


def test_the_oldest_message_on_its_way_comes_first() -> None:
    first, second = (Message(id=str(n), receiver="mail", at=T0 + n, notices=("a",)) for n in (1, 2))
    known = items(second, first, Message(id="0", receiver="webhook", at=0, notices=("a",)))
    assert waiting(known, "mail") == first
    assert waiting(items(replace(first, outcome="told"), second), "mail") == second
    assert waiting({}, "mail") is None


@given(st.lists(st.tuples(st.integers(0, 300_000), st.booleans()), max_size=60), st.integers(0, 100_000))
def test_every_notice_is_told_once(told: list[tuple[int, bool]], window: int) -> None:
    known: dict[str, Entry] = {}
    coming = sorted((at, number, mail) for number, (at, mail) in enumerate(told))
    for now in range(0, 1_000_000, 5_000):
        known |= items(*(notice(str(n), T0 + at, due=("mail",) if mail else ()) for at, n, mail in coming if at <= now))
        message = next_message(known, "mail", Rhythm(window), T0 + now)
        if message is not None:
            assert message.key not in known
            known |= items(message)
    sent = [name for one in known.values() if isinstance(one, Message) for name in one.notices]
    assert sorted(sent) == sorted(str(number) for _, number, mail in coming if mail)
    assert pending(known, "mail") == []


def test_very_many_go_in_several_messages() -> None:
    known = items(*(notice(f"{number:05}") for number in range(MOST + 1)))
    message = next_message(known, "mail", AT_ONCE, T0 + 5_000)
    assert message is not None
    assert len(message.notices) == MOST
    made = letter(message, known)
    assert (len(made.listed), made.more) == (LISTED, MOST - LISTED)
    assert made.text.endswith(f"… and {MOST - LISTED} more.")


def test_a_letter_says_when_and_what() -> None:
    one = notice("a", title="x is not heard: no route", text="2 events: flood, fire\nsecond line")
    made = compose("m", T0, [one])
    assert made.subject == "[Starling] x is not heard: no route"
    assert made.text == (
        "2026-11-28 06:00:00 UTC  x is not heard: no route\n    2 events: flood, fire\n    second line"
    )
    both = compose("m", T0, [one, notice("b", kind="gap"), notice("c", kind="gap")])
    assert both.subject == "[Starling] 3 notices: 2 gap, 1 started"
    assert both.text.count("\n\n") == 2


def test_a_message_reads_the_same_though_what_began_is_over_by_now() -> None:
    begun = notice("a", phase="begun")
    message = Message(id="m", receiver="mail", at=T0, notices=("a", "forgotten"))
    before = letter(message, items(begun))
    after = letter(message, items(replace(begun, over=T0 + 5)))
    assert (before.subject, before.text) == (after.subject, after.text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nBcc: b@example.org", "a Bcc: b@example.org"),
        ("فيضان  النهر", "فيضان النهر"),
        ("洪水", "洪水"),
        ("a\u202eb\x1b[2J\u2028c", "ab[2J c"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_a_subject_is_one_line_of_what_is_seen(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_message_is_given_up_sooner_where_it_is_refused() -> None:
    message = Message(id="m", receiver="mail", at=T0, notices=())
    assert not is_hopeless(message, T0 + REFUSED_MS, refused=True)
    assert is_hopeless(message, T0 + REFUSED_MS + 1, refused=True)
    assert not is_hopeless(message, T0 + AWAY_MS, refused=False)
    assert is_hopeless(message, T0 + AWAY_MS + 1, refused=False)


def test_what_became_of_a_notice_is_told_by_receiver() -> None:
    told = Message(id="1", receiver="mail", at=T0, notices=("a", "b"), outcome="told")
    other = Message(id="2", receiver="webhook", at=T0, notices=("a",))
    assert outcomes([told, other]) == {"a": {"mail": "told", "webhook": "waiting"}, "b": {"mail": "told"}}
