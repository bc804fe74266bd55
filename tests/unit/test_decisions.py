"""Every command in every state, and what stands in the history afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import msgspec
import pytest

from app.domain import decisions
from app.domain.decisions import Action, Answer, Command, Refused, decide
from app.domain.events import Change, Definition, Event, Rematch, Status
from app.domain.partitioning import HOUR, MINUTE, BucketRule, rule_for

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(hours=1)
NOW_MS = int(NOW.timestamp() * 1000)
FLOOD = Definition(name="Flood", keywords=("flood",))


def command(action: Action, **parts: Any) -> Command:
    return Command(**{"id": "1", "action": action, "code": "flood", "at": NOW, "who": "ann"} | parts)


def standing(status: Status = "active", **parts: Any) -> Event:
    """An event at version 7."""
    given = {"code": "flood", "name": "Flood", "keywords": ("flood",), "version": 7, "buckets": (rule_for(1),)}
    return Event(status=status, **given | parts)


def refusal(*args: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        decide(*args)
    return refused.value.reason, str(refused.value)


# ---- the table of actions and states

STATES: tuple[Status, ...] = get_args(Status)
LIVING = {"draft", "scheduled", "active", "paused", "stopped", "archived"}
BECOMES: dict[str, dict[str, str]] = {
    "edit": {state: state for state in LIVING},
    "reshard": {state: state for state in LIVING},
    "start": dict.fromkeys(("draft", "scheduled", "stopped"), "active"),
    "pause": {"active": "paused"},
    "resume": {"paused": "active"},
    "stop": dict.fromkeys(("active", "paused", "scheduled"), "stopped"),
    "archive": dict.fromkeys(("draft", "stopped"), "archived"),
    "delete": dict.fromkeys(LIVING - {"active"}, "deleted"),
    "purge": dict.fromkeys((LIVING | {"deleted", "purging"}) - {"active"}, "purging"),
    "rematch": {state: state for state in ("active", "paused", "stopped")},
    "create": {},
    "refresh": {},
}
# What each action needs beside its name, to be refused for its state alone.
WITH: dict[str, dict[str, Any]] = {
    "edit": {"definition": Definition(keywords=("flood", "storm"))},
    "reshard": {"rule": BucketRule(since=NOW_MS + 1, seconds=HOUR, shards=1)},
    "create": {"definition": FLOOD},
    "rematch": {"rematch_since": NOW - timedelta(hours=1)},
}


def test_the_table_names_every_action() -> None:
    assert set(BECOMES) == set(get_args(Action))


@pytest.mark.parametrize(("action", "state"), list(product(get_args(Action), STATES)))
def test_each_action_in_each_state(action: Action, state: Status) -> None:
    current = standing(state)
    asked = command(action, **WITH.get(action, {}))
    if state in BECOMES[action]:
        after = decide(asked, current)
        assert (after.status, after.version) == (BECOMES[action][state], 8)
        assert after.history[-1].version == 8
        return
    reason, message = refusal(asked, current)
    if action == "create":
        assert reason == "exists"
    elif state == "deleted":
        assert reason == "unknown"
    elif action == "refresh":
        assert reason == "invalid"
    else:
        assert reason == "state"
        assert state in message
        assert ("stop it first" in message) is (state == "active" and action in ("delete", "purge"))


@pytest.mark.parametrize("action", [action for action in get_args(Action) if action != "create"])
def test_nothing_can_be_done_to_an_event_that_is_not_there(action: Action) -> None:
    assert refusal(command(action, **WITH.get(action, {})), None)[0] == "unknown"


# ---- create


def test_create() -> None:
    event = decide(
        command("create", definition=Definition(name=" Boulder  Flood ", keywords=("Flood ",)), why="it rains"), None
    )
    assert event == Event(
        code="flood",
        name="Boulder Flood",
        keywords=("Flood",),
        status="active",
        owners=("ann",),
        version=1,
        buckets=(rule_for(1),),
        history=(Change(version=1, at=NOW, who="ann", why="it rains", action="create", command="1"),),
    )


@pytest.mark.parametrize(
    ("draft", "start", "state"),
    [
        (False, None, "active"),
        (True, None, "draft"),
        (False, SOON, "scheduled"),
        (True, SOON, "draft"),
        (False, NOW, "active"),
        (False, NOW - timedelta(days=1), "active"),
    ],
)
def test_the_first_state(draft: bool, start: datetime | None, state: str) -> None:
    definition = Definition(name="Flood", keywords=("flood",), start=start)
    assert decide(command("create", definition=definition, draft=draft), None).status == state


def test_an_event_is_laid_out_for_the_rate_that_its_writer_expects() -> None:
    assert decide(command("create", definition=FLOOD, expected_rate=5700), None).buckets == (rule_for(5700),)


@pytest.mark.parametrize("rate", [0, -1, 1e9, float("inf"), float("nan")])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    assert refusal(command("create", definition=FLOOD, expected_rate=rate), None)[0] == "invalid"


def test_a_clash_of_codes_is_refused() -> None:
    assert refusal(command("create", definition=FLOOD), standing()) == ("exists", "event 'flood' exists")


def test_the_code_of_a_deleted_event_stays_taken_until_it_is_purged() -> None:
    reason, message = refusal(command("create", definition=FLOOD), standing("deleted"))
    assert reason == "exists"
    assert "`purge` frees the code" in message


def test_versions_go_on_after_a_purge() -> None:
    purging = decide(command("purge"), standing("deleted"))
    assert (purging.status, purging.version) == ("purging", 8)
    again = decide(command("create", definition=FLOOD), None, purging.version)
    assert again.version == again.history[0].version == 9
    assert len(again.history) == 1


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"definition": Definition(keywords=("flood",))}, "needs a name"),
        ({"definition": Definition(name=" ", keywords=("flood",))}, "name is blank"),
        ({"definition": Definition(name="Flood")}, "at least one keyword, account or box"),
        ({"definition": Definition(name="Flood", keywords=("",))}, "blank keyword"),
        ({"definition": Definition(name="Flood", languages=("de",))}, "at least one keyword"),
        ({"definition": FLOOD, "code": "No Code"}, "1 to 63"),
        ({"definition": FLOOD, "code": ""}, "1 to 63"),
        ({"definition": Definition(name="F", keywords=("f",), start=SOON, end=NOW)}, "not after the start"),
        ({"definition": FLOOD, "why": "x" * 2001}, "at most 2000"),
        ({"definition": FLOOD, "at": datetime(2024, 5, 1)}, "no time zone"),
    ],
)
def test_an_invalid_definition_is_refused_and_why(parts: dict[str, Any], why: str) -> None:
    reason, message = refusal(command("create", **parts), None)
    assert reason == "invalid"
    assert why in message


# ---- versions


@pytest.mark.parametrize("expected", [None, 7])
def test_the_expected_version_is_the_current_one(expected: int | None) -> None:
    assert decide(command("pause", expected_version=expected), standing()).version == 8


@pytest.mark.parametrize("expected", [0, 6, 8])
@pytest.mark.parametrize("action", ["edit", "pause", "purge", "resume"])
def test_another_version_than_expected_is_refused_before_all_else(action: Action, expected: int) -> None:
    asked = command(action, expected_version=expected, **WITH.get(action, {}))
    assert refusal(asked, standing()) == ("version", f"event 'flood' is at version 7, not {expected}")


def test_two_edits_of_one_version_are_not_merged() -> None:
    first = decide(command("edit", definition=Definition(keywords=("a",)), expected_version=7), standing())
    second = command("edit", definition=Definition(keywords=("b",)), expected_version=7)
    assert refusal(second, first)[0] == "version"


# ---- edit and history


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    before = standing(accounts=("ann",), languages=("de",))
    after = decide(command("edit", definition=Definition(keywords=("flood", "storm"))), before)
    assert after == msgspec.structs.replace(before, keywords=("flood", "storm"), version=8, history=after.history)


def test_the_history_tells_who_when_why_and_from_what_to_what() -> None:
    event = decide(command("create", definition=FLOOD, who="ann", why="rain"), None)
    later = NOW + timedelta(minutes=5)
    definition = Definition(keywords=("Flood", "storm"), languages=("DE",), end=SOON)
    event = decide(command("edit", definition=definition, who="bob", why="wind", at=later), event)
    event = decide(command("pause", who="carl", at=SOON), event)
    assert event.history == (
        Change(version=1, at=NOW, who="ann", why="rain", action="create", command="1"),
        Change(
            version=2,
            at=later,
            who="bob",
            why="wind",
            action="edit",
            changed={
                "keywords": (("flood",), ("Flood", "storm")),
                "languages": ((), ("de",)),
                "end": (None, "2024-05-01T13:00:00Z"),
            },
            command="1",
        ),
        Change(version=3, at=SOON, who="carl", action="pause", changed={"status": ("active", "paused")}, command="1"),
    )


def test_an_event_with_its_history_survives_the_wire() -> None:
    event = decide(command("edit", definition=Definition(boxes=((1, 2, 3, 4),), end=SOON)), standing())
    sent = msgspec.json.decode(msgspec.json.encode(event), type=Event)
    assert sent.keywords == event.keywords
    assert sent.history[-1].changed["end"] == event.history[-1].changed["end"]
    assert msgspec.json.encode(sent) == msgspec.json.encode(event)


@pytest.mark.parametrize("definition", [Definition(), Definition(keywords=("flood ",)), Definition(name=" Flood")])
def test_an_edit_that_changes_nothing_is_refused(definition: Definition) -> None:
    assert refusal(command("edit", definition=definition), standing()) == ("invalid", "the edit changes nothing")


def test_an_edit_may_take_a_time_away() -> None:
    assert decide(command("edit", definition=Definition(end=None)), standing(end=SOON)).end is None


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        (Definition(keywords=()), "at least one"),
        (Definition(keywords=("flood", "")), "blank keyword"),
        (Definition(start=SOON), "not after the start"),
        (Definition(keywords=tuple(f"k{number}" for number in range(1001))), "at most 1000"),
    ],
)
def test_an_invalid_edit_is_refused_and_why(definition: Definition, why: str) -> None:
    reason, message = refusal(command("edit", definition=definition), standing(end=SOON))
    assert reason == "invalid"
    assert why in message


def test_an_event_always_fits_into_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MAX_BYTES", 20_000)
    event = decide(command("create", definition=FLOOD, why="rain"), None)
    for number in range(20):
        words = tuple(f"word{number}x{other}" for other in range(100))
        event = decide(command("edit", definition=Definition(keywords=words), why=f"edit {number}"), event)
        assert len(msgspec.json.encode(event)) <= 20_000
    assert [change.version for change in event.history] == list(range(1, 22))
    assert [change.why for change in event.history][:3] == ["rain", "edit 0", "edit 1"]
    assert event.history[1].changed == {}
    assert event.history[-1].changed["keywords"][1] == event.keywords


def test_who_when_and_why_are_never_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MAX_BYTES", 10)
    event = decide(command("pause", why="rest"), decide(command("create", definition=FLOOD, why="rain"), None))
    assert [(change.who, change.why, change.changed) for change in event.history] == [
        ("ann", "rain", {}),
        ("ann", "rest", {}),
    ]


# ---- reshard


def rule(since: int = NOW_MS + 10_000, seconds: int = MINUTE, shards: int = 35) -> BucketRule:
    return BucketRule(since=since, seconds=seconds, shards=shards)


def test_a_rule_is_appended() -> None:
    after = decide(command("reshard", rule=rule()), standing())
    assert after.buckets == (rule_for(1), rule())
    assert after.history[-1].changed == {}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (None, "not a bucket rule"),
        (rule(seconds=0), "not a bucket rule"),
        (rule(seconds=61), "not a bucket rule"),
        (rule(shards=0), "not a bucket rule"),
        (rule(shards=10**9), "not a bucket rule"),
        (rule(since=NOW_MS), "begin after now"),
        (rule(since=1), "begin after now"),
        (rule(since=0), "after the last one"),
        (rule(since=-1), "after the last one"),
    ],
)
def test_a_rule_that_would_move_stored_posts_or_makes_no_sense_is_refused(wrong: BucketRule | None, why: str) -> None:
    reason, message = refusal(command("reshard", rule=wrong), standing())
    assert reason == "invalid"
    assert why in message


def test_an_event_without_rules_gets_its_first() -> None:
    assert decide(command("reshard", rule=rule()), standing(buckets=())).buckets == (rule(),)


# ---- rematch


def test_an_event_hears_the_past_from_a_moment_on() -> None:
    since = NOW - timedelta(hours=2)
    after = decide(command("rematch", rematch_since=since, why="late"), standing("paused"))
    assert after.rematches == (Rematch(8, since),)
    assert after.history[-1].changed == {"rematch": (None, "2024-05-01T10:00:00Z")}
    assert after.history[-1].why == "late"
    again = decide(command("rematch", rematch_since=since), after)
    assert again.rematches == (Rematch(8, since), Rematch(9, since))


def test_a_new_event_and_one_that_starts_may_hear_the_past_at_once() -> None:
    since = NOW - timedelta(hours=1)
    created = decide(command("create", definition=FLOOD, rematch_since=since), None, 4)
    assert (created.version, created.rematches) == (5, (Rematch(5, since),))
    assert created.history[0].changed == {"rematch": (None, "2024-05-01T11:00:00Z")}
    started = decide(command("start", rematch_since=since), standing("draft"))
    assert (started.status, started.rematches) == ("active", (Rematch(8, since),))
    assert started.history[-1].changed == {
        "status": ("draft", "active"),
        "rematch": (None, "2024-05-01T11:00:00Z"),
    }
    assert decide(command("start"), standing("draft")).rematches == ()


@pytest.mark.parametrize(
    ("since", "why"),
    [
        (None, "needs a moment"),
        (NOW, "since a moment gone by"),
        (SOON, "since a moment gone by"),
        (NOW - timedelta(days=367), "at most 366 days"),
        (datetime(2024, 5, 1, 11), "no time zone"),
    ],
)
def test_a_moment_that_cannot_be_heard_is_refused(since: datetime | None, why: str) -> None:
    reason, message = refusal(command("rematch", rematch_since=since), standing())
    assert reason == "invalid"
    assert why in message


@pytest.mark.parametrize("rest", [{"draft": True}, {"definition": Definition(name="F", keywords=("f",), start=SOON)}])
def test_an_event_that_does_not_begin_hears_nothing(rest: dict[str, Any]) -> None:
    asked = command("create", **{"definition": FLOOD, "rematch_since": NOW - timedelta(hours=1)} | rest)
    assert "hears nothing yet" in refusal(asked, None)[1]


def test_of_many_wishes_none_is_lost() -> None:
    event = standing()
    for hours in (9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2):
        event = decide(command("rematch", rematch_since=NOW - timedelta(hours=hours)), event)
    assert len(event.rematches) == decisions.MAX_REMATCHES
    assert min(wish.since for wish in event.rematches) == NOW - timedelta(hours=9)
    assert [wish.version for wish in event.rematches] == list(range(11, 19))


def test_a_source_may_be_asked_for_the_past_of_an_active_event() -> None:
    since = NOW - timedelta(hours=2)
    asked = command("rematch", rematch_since=since, rematch_source="bluesky")
    after = decide(asked, standing("active"))
    assert after.rematches == (Rematch(8, since, "bluesky"),)
    assert after.history[-1].changed == {"rematch": (None, "2024-05-01T10:00:00Z"), "source": (None, "bluesky")}
    reason, why = refusal(asked, standing("paused"))
    assert (reason, why) == ("state", "event 'flood' is paused: bluesky is asked for active events alone")
    for other in ("x-v1", "mastodon"):
        wrong = command("rematch", rematch_since=since, rematch_source=other)
        assert refusal(wrong, standing()) == ("invalid", f"{other!r} cannot be asked for the past; x and bluesky can")
    created = command("create", definition=FLOOD, rematch_since=since, rematch_source="x")
    assert "by a rematch afterwards" in refusal(created, None)[1]


def test_of_many_wishes_of_one_source_those_of_others_are_kept() -> None:
    event = decide(command("rematch", rematch_since=NOW - timedelta(hours=9)), standing())
    for hours in range(1, 11):
        asked = command("rematch", rematch_since=NOW - timedelta(hours=hours), rematch_source="x")
        event = decide(asked, event)
    assert event.rematches[0] == Rematch(8, NOW - timedelta(hours=9))
    assert [wish.version for wish in event.rematches[1:]] == list(range(11, 19))
    assert {wish.source for wish in event.rematches[1:]} == {"x"}


# ---- commands and answers on the wire


def test_a_command_needs_no_more_than_what_it_says() -> None:
    sent = b'{"id":"1","action":"pause","code":"flood","at":"2024-05-01T12:00:00Z","who":"ann"}'
    assert msgspec.json.decode(sent, type=Command) == command("pause")


@pytest.mark.parametrize("action", ["destroy", "", None])
def test_an_unknown_action_is_no_command(action: str | None) -> None:
    body = {"id": "1", "action": action, "code": "flood", "at": "2024-05-01T12:00:00Z", "who": "ann"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=Command)


def test_a_field_that_is_misspelt_is_no_definition() -> None:
    with pytest.raises(msgspec.ValidationError, match="keyword"):
        msgspec.json.decode(b'{"keyword":["flood"]}', type=Definition)


def test_an_answer_survives_the_wire() -> None:
    answer = Answer(id="1", code="flood", accepted=False, reason="state", message="no")
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer


def test_an_event_whose_end_is_past_is_refused() -> None:
    past = Definition(name="Flood", keywords=("flood",), end=NOW - timedelta(hours=1))
    with pytest.raises(Refused, match="the end is past"):
        decide(command("create", definition=past), None)
