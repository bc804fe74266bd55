"""X's filtered stream against a small X in this process: rules, lines, troubles, connections, recent search."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.domain.events import Event
from app.settings import Settings
from app.sources import x_rules
from app.sources.lines import Splitter
from app.sources.source import MOST_LINE_BYTES, Broken, Fact, Opened, Place, Resume, Selection, Source, Trouble
from app.sources.x import X
from app.sources.x_client import Client
from tests.builders import line, v2_payload
from tests.support.sure import surely
from tests.support.x_server import TOKEN, TOO_MANY, FakeX, serving


@pytest.fixture(autouse=True)
def in_force_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x_rules, "_IN_FORCE_SECONDS", 0.0)


class Clock:
    """Time as a test wants it, where rules are in force only after the answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 5000.0
        monkeypatch.setattr(x_rules, "_IN_FORCE_SECONDS", 30.0)
        monkeypatch.setattr(x_rules, "monotonic", lambda: self.now)
        monkeypatch.setattr(x_rules, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
async def fake() -> AsyncIterator[FakeX]:
    fake = FakeX()
    async with serving(fake) as url:
        fake.url = url  # type: ignore[attr-defined]
        yield fake


def source(fake: Any, **settings: Any) -> X:
    return X(Settings(x_url=fake.url, **({"x_bearer_token": TOKEN} | settings)))


@pytest.fixture
async def x(fake: FakeX) -> AsyncIterator[X]:
    one = source(fake)
    yield one
    await one.close()


def event(code: str, *keywords: str, version: int = 1) -> Event:
    return Event(code=code, name=code, status="active", keywords=keywords, version=version)


async def heard(x: Source, resume: Resume = Resume()) -> tuple[list[bytes], Broken]:  # noqa: B008
    """All lines until the connection ends, and why it did."""
    lines: list[bytes] = []
    try:
        async for item in x.listen(resume):
            if not isinstance(item, Opened):
                lines += item
    except Broken as broken:
        return lines, broken
    raise AssertionError("it ended without a reason")


def values(fake: FakeX) -> list[tuple[str, str]]:
    return [(rule["tag"], rule["value"]) for rule in fake.rules]


# ---- rules


async def test_events_become_rules_with_our_mark(fake: FakeX, x: X) -> None:
    selection = await x.select([event("flood", "#flood", version=7), event("storm", "#storm")], surely)
    assert selection == Selection({"flood": 7, "storm": 1})
    assert values(fake) == [("starling:flood", "#flood"), ("starling:storm", "#storm")]


async def test_the_same_events_cost_a_look_and_nothing_else(fake: FakeX, x: X) -> None:
    await x.select([event("flood", "#flood")], surely)
    fake.calls.clear()
    assert await x.select([event("flood", "#flood")], surely) == Selection({"flood": 1})
    assert fake.asked() == ["GET stream/rules"]


async def test_new_rules_are_added_before_old_ones_go(fake: FakeX, x: X) -> None:
    await x.select([event("flood", "#flood")], surely)
    fake.calls.clear()
    await x.select([event("flood", "#rain", version=2)], surely)
    assert values(fake) == [("starling:flood", "#rain")]
    assert [next(iter(body)) for method, _, _, body in fake.calls if method == "POST"] == ["add", "delete"]


async def test_what_new_rules_replace_stays_until_x_has_them_in_force(fake: FakeX, x: X, clock: Clock) -> None:
    await x.select([event("e", "#sandy", "#storm")], surely)
    selection = await x.select([event("e", "#sandy", "#storm", "#power", version=2)], surely)
    assert selection == Selection({"e": 2}, again=30.0)
    both = [("starling:e", "#sandy OR #storm"), ("starling:e", "#sandy OR #storm OR #power")]
    assert values(fake) == both
    assert x.fact(b'{"data":{"id":"7"},"matching_rules":[{"id":"r1","tag":"starling:e"}]}').tags == ("e",)
    clock.now += 20
    again = await x.select([event("e", "#sandy", "#storm", "#power", version=2)], surely)
    assert again == Selection({"e": 2}, again=10.0)
    assert values(fake) == both
    clock.now += 10
    assert await x.select([event("e", "#sandy", "#storm", "#power", version=2)], surely) == Selection({"e": 2})
    assert values(fake) == both[1:]


async def test_each_of_several_edits_keeps_what_it_replaces_for_a_time_of_its_own(
    fake: FakeX, x: X, clock: Clock
) -> None:
    for version, word in enumerate(("#one", "#two", "#three"), 1):
        await x.select([event("e", "#stays", word, version=version)], surely)
        clock.now += 12
    assert [value for _, value in values(fake)] == ["#stays OR #one", "#stays OR #two", "#stays OR #three"]
    clock.now += 6  # 30 s after the first edit
    selection = await x.select([event("e", "#stays", "#three", version=3)], surely)
    assert [value for _, value in values(fake)] == ["#stays OR #two", "#stays OR #three"]
    assert selection.again == 12.0


async def test_a_keyword_that_comes_back_is_in_force_still(fake: FakeX, x: X, clock: Clock) -> None:
    for version, word in enumerate(("#one", "#two", "#one"), 1):
        await x.select([event("e", "#stays", word, version=version)], surely)
        clock.now += 12
    clock.now += 18
    assert await x.select([event("e", "#stays", "#one", version=3)], surely) == Selection({"e": 3})
    assert values(fake) == [("starling:e", "#stays OR #one")]


async def test_an_edit_that_is_undone_keeps_what_asked_for_it_until_the_new_rule_is_in_force(
    fake: FakeX, x: X, clock: Clock
) -> None:
    await x.select([event("e", "#stays", "#back")], surely)
    await x.select([event("e", "#stays", version=2)], surely)
    clock.now += 29
    selection = await x.select([event("e", "#stays", "#back", "#new", version=3)], surely)
    assert "#stays OR #back OR #new" in [value for _, value in values(fake)]
    clock.now += 1
    await x.select([event("e", "#stays", "#back", "#new", version=3)], surely)
    assert "#stays OR #back" in [value for _, value in values(fake)], "its replacement was added a second ago"
    clock.now += 29
    await x.select([event("e", "#stays", "#back", "#new", version=3)], surely)
    assert [value for _, value in values(fake)] == ["#stays OR #back OR #new"]
    assert selection.again == 30.0


async def test_what_no_event_wants_any_more_goes_at_once(fake: FakeX, x: X, clock: Clock) -> None:
    await x.select([event("a", "#a"), event("b", "#b")], surely)
    assert await x.select([event("b", "#b")], surely) == Selection({"b": 1})
    assert values(fake) == [("starling:b", "#b")]


async def test_who_has_lost_sight_of_the_account_waits_anew(fake: FakeX, x: X, clock: Clock) -> None:
    """Another tracker may have listened meanwhile: what it has put in force is not known here."""
    await x.select([event("e", "#a", "#b")], surely)
    await x.select([event("e", "#a", "#c", version=2)], surely)
    await heard(x)
    clock.now += 100
    assert await x.select([event("e", "#a", "#c", version=2)], surely) == Selection({"e": 2}, again=30.0)
    assert len(fake.rules) == 2


async def test_rules_that_another_program_has_removed_are_told_and_then_put_back(
    fake: FakeX, x: X, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [event("a", "#a"), event("b", *(f"#b{at:02}" for at in range(200)))]
    whole = await x.select(events, surely)
    assert (whole.versions, len(fake.rules)) == ({"a": 1, "b": 1}, 3)
    clock.now += 800
    get_rules = x._client.get_rules

    async def slowly() -> dict[str, Any]:
        answer: dict[str, Any] = await get_rules()
        clock.now += 7
        return answer

    monkeypatch.setattr(x._client, "get_rules", slowly)
    await x.select(events, surely)
    clock.now += 900
    rules, fake.rules = fake.rules, fake.rules[2:]
    fake.calls.clear()
    left = await x.select(events, surely)
    assert fake.asked() == ["GET stream/rules"]
    assert (left.versions, left.since_ms, left.again) == ({"b": 1}, 5_800_000, 0.0)
    ((code, (why,)),) = left.refused.items()
    assert code == "b"
    assert why.startswith("#b00 OR #b01")
    assert why.endswith("another program may have removed it")
    assert await x.select(events, surely) == whole
    assert sorted(values(fake)) == sorted((rule["tag"], rule["value"]) for rule in rules)


async def test_what_was_removed_meanwhile_is_not_counted_upon_though_it_cannot_be_put_back(fake: FakeX, x: X) -> None:
    await x.select([event("a", "#a"), event("b", "#b")], surely)
    fake.rules = fake.rules[1:]
    left = await x.select([event("a", "#a"), event("b", "#b")], lambda: False)
    assert (left.versions, left.again) == ({"b": 1}, 0.0)
    with pytest.raises(Broken, match="not sure of its lease"):
        await x.select([event("a", "#a"), event("b", "#b")], lambda: False)


async def test_rules_of_other_programs_stay(fake: FakeX, x: X) -> None:
    others = [
        {"id": "a", "value": "cats"},
        {"id": "b", "value": "#flood", "tag": "flood"},
        {"id": "c", "value": "#flood", "tag": "starling:test-:flood"},
    ]
    fake.rules = list(others)
    await x.select([event("flood", "#flood")], surely)
    await x.select([], surely)
    assert fake.rules == others


async def test_a_deployment_with_a_prefix_keeps_its_own_rules(fake: FakeX, x: X) -> None:
    other = source(fake, topic_prefix="test-")
    await x.select([event("flood", "#flood")], surely)
    await other.select([event("flood", "#storm")], surely)
    assert values(fake) == [("starling:flood", "#flood"), ("starling:test-:flood", "#storm")]
    await other.select([], surely)
    assert values(fake) == [("starling:flood", "#flood")]
    await other.close()


async def test_rules_that_an_earlier_process_left_are_taken_over(fake: FakeX, x: X) -> None:
    fake.rules = [
        {"id": "old", "value": "#flood", "tag": "starling:flood"},
        {"id": "gone", "value": "#snow", "tag": "starling:snow"},
    ]
    await x.select([event("flood", "#flood")], surely)
    assert [rule["id"] for rule in fake.rules] == ["old"]
    assert fake.asked("rules") == ["GET stream/rules", "POST stream/rules"]


async def test_who_is_not_sure_of_the_account_changes_no_rule(fake: FakeX, x: X) -> None:
    await x.select([event("flood", "#flood")], surely)
    before = list(fake.rules)
    for wanted in ([event("flood", "#rain", version=2)], [event("flood", "#flood"), event("a", "#a")], []):
        with pytest.raises(Broken, match="not sure of its lease"):
            await x.select(wanted, lambda: False)
        assert fake.rules == before
    assert await x.select([event("flood", "#flood")], lambda: False) == Selection({"flood": 1}), "nothing to change"


async def test_rules_are_not_removed_once_the_account_is_another_process_s(fake: FakeX, x: X) -> None:
    """It is frozen between two requests: what it had to say by the first holds, the second it must not make."""
    await x.select([event("flood", "#flood")], surely)
    sure = iter([True])
    with pytest.raises(Broken, match="not sure of its lease"):
        await x.select([event("flood", "#rain", version=2)], lambda: next(sure, False))
    assert sorted(value for _, value in values(fake)) == ["#flood", "#rain"]


async def test_many_rules_come_in_pages_and_go_in_batches(fake: FakeX) -> None:
    x = source(fake, x_rule_length=64)
    events = [event(f"e{at:03}", f"#tag{at}") for at in range(250)]
    await x.select(events, surely)
    assert fake.asked("rules").count("POST stream/rules") == 3
    await x.close()
    fake.page, fake.calls = 100, []
    x = source(fake, x_rule_length=64)
    await x.select(events, surely)
    assert fake.asked("rules") == ["GET stream/rules"] * 3
    await x.close()


async def test_a_keyword_that_x_does_not_understand_is_reported_and_the_others_go_on(fake: FakeX, x: X) -> None:
    fake.invalid = {"#bad"}
    selection = await x.select([event("flood", "#flood", "#bad", "#rain"), event("storm", "#storm")], surely)
    assert sorted(values(fake)) == [("starling:flood", "#flood OR #rain"), ("starling:storm", "#storm")]
    assert selection.versions == {"flood": 1, "storm": 1}
    assert selection.refused == {"flood": ("#bad: X does not understand it (no viable alternative)",)}


async def test_a_keyword_that_x_does_not_understand_is_asked_for_once(fake: FakeX, x: X) -> None:
    fake.invalid = {"#bad"}
    await x.select([event("flood", "#flood", "#bad")], surely)
    fake.calls.clear()
    selection = await x.select([event("flood", "#flood", "#bad", "#rain", version=2)], surely)
    assert "flood" in selection.refused
    assert not any("#bad" in str(body) for _, _, _, body in fake.calls)


async def test_a_rule_that_is_there_already_is_a_success(fake: FakeX, x: X, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_yet() -> dict[str, Any]:
        return {"meta": {}}

    fake.rules = [{"id": "old", "value": "#flood", "tag": "starling:flood"}]
    monkeypatch.setattr(x._client, "get_rules", nothing_yet)
    assert await x.select([event("flood", "#flood")], surely) == Selection({"flood": 1})
    assert [rule["id"] for rule in fake.rules] == ["old"]


async def test_what_two_events_want_alike_is_one_rule_until_neither_wants_it(fake: FakeX, x: X) -> None:
    one, other = event("flood", "#flood"), event("flood-2", "#flood", "#storm")
    assert await x.select([one], surely) == Selection({"flood": 1})
    both = Selection({"flood": 1, "flood-2": 1})
    assert await x.select([one, event("flood-2", "#flood")], surely) == both
    assert values(fake) == [("starling:flood", "#flood")]
    sent = b'{"data":{"id":"7"},"matching_rules":[{"id":"r1","tag":"starling:flood"}]}'
    assert x.fact(sent).tags == ("flood", "flood-2")
    assert await x.select([event("flood-2", "#flood")], surely) == Selection({"flood-2": 1})
    assert values(fake) == [("starling:flood", "#flood")], "the other still wants it"
    assert x.fact(sent).tags == ("flood-2",)
    assert await x.select([other], surely) == Selection({"flood-2": 1})
    assert values(fake) == [("starling:flood-2", "#flood OR #storm")]
    assert await x.select([], surely) == Selection()
    assert fake.rules == []


async def test_two_new_events_that_want_the_same_are_both_asked_for(fake: FakeX, x: X) -> None:
    assert await x.select([event("a", "#flood"), event("b", "#flood")], surely) == Selection({"a": 1, "b": 1})
    assert len(fake.rules) == 1
    assert await x.select([event("b", "#flood")], surely) == Selection({"b": 1})
    assert len(fake.rules) == 1


async def test_what_another_program_asks_for_alike_is_not_ours_to_remove(fake: FakeX, x: X) -> None:
    fake.rules.append({"value": "#flood", "tag": "theirs", "id": "f1"})
    assert await x.select([event("flood", "#flood")], surely) == Selection({"flood": 1})
    assert await x.select([], surely) == Selection()
    assert values(fake) == [("theirs", "#flood")]
    assert set(fake.asked()) == {"GET stream/rules"}, "each look sees it there"


async def test_a_full_plan_is_reported_and_what_was_in_force_stays(
    fake: FakeX, x: X, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x_rules, "_IN_FORCE_SECONDS", 0.0)
    fake.cap = 2
    await x.select([event("a", "#a"), event("b", "#b")], surely)
    selection = await x.select([event("a", "#a"), event("b", "#b2", version=2)], surely)
    assert values(fake) == [("starling:a", "#a"), ("starling:b", "#b")]
    assert selection.versions == {"a": 1, "b": 1}
    assert "STARLING_X_RULES" in selection.refused["b"][0]
    fake.cap = 3
    fake.calls.clear()
    assert await x.select([event("a", "#a"), event("b", "#b2", version=2)], surely) == selection
    assert fake.asked() == ["GET stream/rules"], "a look that comes often asks for nothing that was refused lately"
    clock.now += 900
    assert (await x.select([event("a", "#a"), event("b", "#b2", version=2)], surely)).versions == {"a": 1, "b": 2}
    assert values(fake) == [("starling:a", "#a"), ("starling:b", "#b2")]


async def test_what_had_no_room_is_asked_for_once_others_have_made_room(fake: FakeX) -> None:
    fake.cap = 2
    fake.rules = [{"id": "foreign", "value": "cats"}]
    x = source(fake, x_rules=2)
    events = [event("a", "#a"), event("b", "#b")]
    selection = await x.select(events, surely)
    assert (selection.versions, list(selection.refused)) == ({"a": 1}, ["b"])
    fake.calls.clear()
    assert await x.select(events, surely) == selection
    assert fake.asked() == ["GET stream/rules"], "a look, and nothing else"
    fake.rules = [rule for rule in fake.rules if rule["id"] != "foreign"]
    assert await x.select(events, surely) == Selection({"a": 1, "b": 1})
    await x.close()


async def test_what_x_has_refused_for_room_is_asked_for_as_soon_as_it_has_fewer_rules(fake: FakeX, x: X) -> None:
    fake.cap = 2
    fake.rules = [{"id": "foreign", "value": "cats"}]
    events = [event("a", "#a"), event("b", "#b")]
    assert "STARLING_X_RULES" in str((await x.select(events, surely)).refused)
    fake.rules = [rule for rule in fake.rules if rule["id"] != "foreign"]
    assert await x.select(events, surely) == Selection({"a": 1, "b": 1})


async def test_only_as_many_rules_go_first_as_the_plan_makes_necessary_and_that_is_told_before(fake: FakeX) -> None:
    fake.cap = 3
    fake.rules = [{"id": "foreign", "value": "cats"}]
    x = source(fake, x_rules=3, x_rule_length=64)
    await x.select([event("a", "#a"), event("b", "#b")], surely)
    edited = [event("a", "#a2", version=2), event("b", "#b")]
    assert await x.select(edited, surely) == Selection({"b": 1}, again=0.0)
    assert values_of_ours(fake) == ["#b"]
    assert await x.select(edited, surely) == Selection({"a": 2, "b": 1})
    assert sorted(values_of_ours(fake)) == ["#a2", "#b"]
    await x.close()


async def test_of_rules_that_have_to_go_first_those_go_that_are_replaced_already(
    fake: FakeX, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fake.cap = 3
    x = source(fake, x_rules=3, x_rule_length=64)
    await x.select([event("a", "#a"), event("b", "#b")], surely)
    await x.select([event("a", "#a2", version=2), event("b", "#b")], surely)
    clock.now += 10
    edited = [event("a", "#a2", version=2), event("b", "#b2", version=2)]
    assert await x.select(edited, surely) == Selection({"a": 2, "b": 1}, again=0.0)
    assert await x.select(edited, surely) == Selection({"a": 2, "b": 2}, again=30.0)
    assert sorted(values_of_ours(fake)) == ["#a2", "#b", "#b2"]
    assert [one.getMessage() for one in caplog.records if one.name == x_rules.__name__] == [
        "1 rules are removed before others are in force: X allows 3 in all"
    ]
    await x.close()


def values_of_ours(fake: FakeX) -> list[str]:
    return [rule["value"] for rule in fake.rules if rule.get("tag", "").startswith("starling:")]


async def test_what_cannot_be_asked_is_reported(fake: FakeX, x: X) -> None:
    selection = await x.select([event("e", "+", "#a")], surely)
    assert selection == Selection({"e": 1}, {"e": ("+: X does not look for signs such as +",)})


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"data": {"id": "1"}},
        {"data": ["1"]},
        {"data": [{"id": "1"}]},
        {"data": [{"value": "#a"}]},
        {"data": "x"},
        {"data": [{"id": ["1"], "value": "#a"}]},
        {"data": [{"id": "1", "value": 1}]},
        {"data": [{"id": "1", "value": "#a", "tag": 1}]},
    ],
    ids=str,
)
async def test_rules_that_are_told_in_no_form_that_is_known_are_one_clear_line(
    x: X, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    async def get_rules(_: Client) -> Any:
        return answer

    monkeypatch.setattr(Client, "get_rules", get_rules)
    with pytest.raises(Broken, match="X tells its rules in a form that is not known") as told:
        await x.select([event("e", "#a")], surely)
    assert told.value.trouble is Trouble.HTTP


async def test_rules_that_are_told_in_a_circle_are_one_clear_line(x: X, monkeypatch: pytest.MonkeyPatch) -> None:
    page = {"data": [{"id": "1", "value": "#a"}], "meta": {"next_token": "again"}}

    async def get_rules(_: Client) -> Any:
        return page

    async def fetch(*_: Any) -> bytes:
        return json.dumps(page).encode()

    monkeypatch.setattr(Client, "get_rules", get_rules)
    monkeypatch.setattr(Client, "fetch", fetch)
    with pytest.raises(Broken, match="a page of its rules again and again"):
        await x.select([event("e", "#a")], surely)


@pytest.mark.parametrize("status", [200, 400, 422])
async def test_a_look_at_the_rules_that_is_refused_has_seen_none_of_them_gone(fake: FakeX, x: X, status: int) -> None:
    await x.select([event("flood", "#flood")], surely)
    fake.answer = status, {}, {"errors": [{"title": "Invalid Request", "detail": "no such page"}]}
    with pytest.raises(Broken, match="no such page"):
        await x.select([event("flood", "#flood")], surely)
    fake.answer = None
    assert await x.select([event("flood", "#flood")], surely) == Selection({"flood": 1})


@pytest.mark.parametrize("answer", [{"errors": [{"title": None}, "x", {"value": ["#a"]}]}, {"errors": {}}], ids=str)
async def test_what_x_has_against_rules_in_no_form_that_is_known_is_nothing_that_it_has_said(
    x: X, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    async def add_rules(*_: Any, **__: Any) -> Any:
        return answer

    monkeypatch.setattr(Client, "add_rules", add_rules)
    selection = await x.select([event("e", "#a")], surely)
    assert selection.refused == {"e": ("#a: X did not take it, and did not say why",)}


# ---- the stream


async def test_it_asks_for_all_that_the_columns_need(fake: FakeX, x: X) -> None:
    await heard(x)
    query = fake.calls[0][2]
    assert "referenced_tweets.id.author_id" in query["expansions"].split(",")
    assert "note_tweet" in query["tweet.fields"].split(",")
    assert "backfill_minutes" not in query


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, 10**6])
async def test_lines_are_whole_wherever_they_were_cut(fake: FakeX, x: X, size: int) -> None:
    sent = [b'{"a":1}', "洪水".encode(), b"x" * 300, b"{}"]
    stream = b"\r\n".join([b"", *sent[:2], b"", b"", *sent[2:], b""]) + b"\n" + b"{}\n" + b"cut in mid-l"
    fake.pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    lines, broken = await heard(x)
    assert lines == [*sent, b"{}"]
    assert (broken.trouble, str(broken)) == (Trouble.ENDED, "X closed the connection")


async def test_a_line_of_300_kilobytes_passes(fake: FakeX, x: X) -> None:
    long = b"x" * 300_000
    fake.pieces = [b"a\r\n" + long + b"\r\nb\r\n"]
    assert (await heard(x))[0] == [b"a", long, b"b"]


async def test_a_line_without_end_ends_the_connection(fake: FakeX, x: X) -> None:
    fake.pieces = [b"a\r\n", b"x" * (MOST_LINE_BYTES + 1), b"x", b"\r\nb\r\n"]
    lines, broken = await heard(x)
    assert lines == [b"a"]
    assert "bytes, which is no message" in str(broken)


async def test_keep_alives_are_signs_of_life(fake: FakeX, x: X) -> None:
    fake.pieces, fake.hold = [b"\r\n"], True
    listening = x.listen(Resume())
    assert await anext(listening) == Opened()
    assert await anext(listening) == []
    await listening.aclose()


def test_a_piece_may_hold_many_lines_and_parts_of_two() -> None:
    splitter = Splitter()
    assert splitter.feed(b"a\r\nb\r") == [b"a"]
    assert splitter.feed(b"\nc") == [b"b"]
    assert splitter.feed(b"") == []
    assert splitter.feed(b"d\r\n\r\n") == [b"cd"]


@pytest.mark.parametrize(
    ("status", "headers", "content", "trouble", "why"),
    [
        (401, {}, {"title": "Unauthorized", "detail": "Unauthorized"}, Trouble.DENIED, "check STARLING_X_BEARER_TOKEN"),
        (403, {}, {"title": "Client Forbidden", "detail": "Not\nenrolled"}, Trouble.DENIED, "403 Not enrolled"),
        (429, {}, TOO_MANY, Trouble.CONNECTIONS, "second connection"),
        (429, {}, {"errors": [TOO_MANY]}, Trouble.CONNECTIONS, "second connection"),
        (429, {"Retry-After": "77"}, {"title": "Too Many Requests"}, Trouble.RATE, "too often"),
        (420, {}, "Enhance your calm", Trouble.RATE, "Enhance your calm"),
        (503, {}, "<html>Over capacity</html>", Trouble.HTTP, "503 for the stream: without a reason"),
        (500, {}, {"errors": ["odd"], "detail": None}, Trouble.HTTP, "500"),
        (409, {}, {"connection_issue": "RuleConfigurationIssue", "detail": "d"}, Trouble.HTTP, "no rule to listen for"),
        (400, {}, {"errors": [{"message": "bad parameter"}]}, Trouble.HTTP, "400 for the stream: bad parameter"),
    ],
)
async def test_what_x_answers_is_told_in_one_line(
    fake: FakeX, x: X, status: int, headers: dict[str, str], content: Any, trouble: Trouble, why: str
) -> None:
    fake.answer = (status, headers, content)
    _, broken = await heard(x)
    assert broken.trouble is trouble
    assert why in str(broken)
    assert "\n" not in str(broken)
    assert broken.retry_after == (77.0 if headers else None)


async def test_a_rate_limit_tells_when_it_ends(fake: FakeX, x: X, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sources.answers.time.time", lambda: 1000.0)
    fake.answer = (429, {"x-rate-limit-reset": "1300", "x-rate-limit-remaining": "0"}, {})
    assert (await heard(x))[1].retry_after == 300.0
    fake.answer = (429, {"x-rate-limit-reset": "1300", "x-rate-limit-remaining": "9"}, {})
    assert (await heard(x))[1].retry_after is None


@pytest.mark.parametrize("said", [b'{"detail":"', b"x" * 300_000], ids=["drips", "large"])
async def test_a_refusal_that_does_not_end_is_told_by_its_status(
    fake: FakeX, x: X, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr("app.sources.account._REASON_SECONDS", 0.2 if len(said) < 100 else 60)
    fake.status, fake.pieces, fake.hold = 503, [said], True
    await x.select([event("e", "#a")], surely)
    _, broken = await asyncio.wait_for(heard(x), 20)
    assert broken.trouble is Trouble.HTTP
    assert str(broken).startswith("X answered 503 for the stream")


async def test_a_wrong_token_is_told(fake: FakeX) -> None:
    x = source(fake, x_bearer_token=TOKEN + "?")
    with pytest.raises(Broken, match=r"X refuses the token \(401 Unauthorized\)"):
        await x.select([event("e", "#a")], surely)
    await x.close()


async def test_no_token_is_told_at_once(fake: FakeX) -> None:
    x = source(fake, x_bearer_token=None)
    _, broken = await heard(x)
    assert (broken.trouble, str(broken)) == (Trouble.DENIED, "there is no token for X; set STARLING_X_BEARER_TOKEN")
    assert fake.calls == []


async def test_a_host_that_cannot_be_reached_is_named(unused_tcp_port: int) -> None:
    x = X(Settings(x_url=f"http://127.0.0.1:{unused_tcp_port}", x_bearer_token=TOKEN))
    _, broken = await heard(x)
    assert broken.trouble is Trouble.NETWORK
    assert str(broken) == "127.0.0.1 cannot be reached (connection refused)"
    await x.close()


async def test_an_empty_rule_set_is_one_clear_line(fake: FakeX, x: X) -> None:
    await x.select([], surely)
    fake.calls.clear()
    _, broken = await heard(x)
    assert str(broken) == "X has no rule to listen for: no active event has any that X takes"
    assert fake.calls == []


async def test_rules_that_x_has_lost_are_made_again(fake: FakeX, x: X) -> None:
    await x.select([event("e", "#a")], surely)
    fake.rules.clear()
    fake.answer = (409, {}, {"connection_issue": "RuleConfigurationIssue"})
    await heard(x)
    fake.answer = None
    assert (await x.select([event("e", "#a")], surely)).versions == {}
    assert await x.select([event("e", "#a")], surely) == Selection({"e": 1})
    assert values(fake) == [("starling:e", "#a")]


@pytest.mark.parametrize(
    ("away", "minutes", "since"),
    [(30_000, "1", -30_000), (90_000, "2", -90_000), (299_000, "5", -299_000), (3_600_000, "5", -300_000)],
)
async def test_backfill_is_asked_for_where_the_plan_has_it(
    fake: FakeX, monkeypatch: pytest.MonkeyPatch, away: int, minutes: str, since: int
) -> None:
    monkeypatch.setattr("app.sources.x.time.time", lambda: 1_000_000.0)
    now_ms = 1_000_000_000
    x = source(fake, x_backfill_minutes=5)
    listening = x.listen(Resume(heard_ms=now_ms - away))
    opened = await anext(listening)
    assert isinstance(opened, Opened)
    assert fake.calls[0][2]["backfill_minutes"] == minutes
    assert opened.since_ms == now_ms + since
    await listening.aclose()
    await x.close()


async def test_who_takes_over_tells_with_the_past_for_which_events_x_had_lost_a_rule(fake: FakeX, clock: Clock) -> None:
    events = [event(code, f"#{code}") for code in ("stays", "lost", "shared")]
    events.append(event("also", "#shared"))
    before = source(fake)
    await before.select(events, surely)
    await before.close()
    fake.rules = [rule for rule in fake.rules if rule["value"] == "#stays"]
    x = source(fake, x_backfill_minutes=5, x_rule_length=64)
    clock.now = 6000.0
    await x.select(events, surely)
    clock.now = 7000.0
    long = "#" + "l" * 60  # it needs a rule of its own
    await x.select([events[0], event("lost", "#lost", long, version=2), *events[2:]], surely)
    listening = x.listen(Resume(heard_ms=0))
    opened = await anext(listening)
    assert isinstance(opened, Opened)
    assert opened.added_ms == {"lost": 7_000_000, "shared": 6_000_000, "also": 6_000_000}
    await listening.aclose()
    listening = x.listen(Resume())
    assert await anext(listening) == Opened(), "without a past nobody has to know"
    await listening.aclose()
    await x.close()


async def test_a_plan_without_backfill_gets_a_hint(fake: FakeX) -> None:
    x = source(fake, x_backfill_minutes=5)
    fake.answer = (400, {}, {"detail": "backfill_minutes"})
    _, broken = await heard(x, Resume(heard_ms=0))
    assert "STARLING_X_BACKFILL_MINUTES=0" in str(broken)
    await x.close()


# ---- what is known of a line

TAGGED = [{"id": "1", "tag": "starling:flood"}, {"id": "2", "tag": "starling:flood"}, {"id": "3", "tag": "other"}]


@pytest.mark.parametrize(
    ("sent", "fact"),
    [
        (line(v2_payload("x", id="42") | {"matching_rules": TAGGED}), Fact("42", tags=("flood",))),
        (b'{"data":{"id":"1","text":"x"},"errors":[{"title":"Not Found Error"}]}', Fact("1")),
        (b'{"data":{"id":"1"},"matching_rules":[{"id":"9"},{"tag":null}]}', Fact("1")),
        (b'{"data":{"id":7}}', Fact()),
        (b'{"data":[]}', Fact()),
        (b"[]", Fact()),
        (b"\xff", Fact()),
        (b"", Fact()),
        (b'{"errors":[{"title":"Not Found Error"}]}', Fact()),
        (
            b'{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect",'
            b'"detail":"This stream has been disconnected."}]}',
            Fact(ends="X: This stream has been disconnected."),
        ),
        (
            b'{"errors":[{"title":"ConnectionException","detail":"Many.","connection_issue":"TooManyConnections"}]}',
            Fact(ends="X: Many.", trouble=Trouble.CONNECTIONS),
        ),
        (
            b'{"title":"ConnectionException","connection_issue":"TooManyConnections"}',
            Fact(ends="X: ConnectionException", trouble=Trouble.CONNECTIONS),
        ),
    ],
)
def test_a_fact_of_a_line(sent: bytes, fact: Fact) -> None:
    assert X(Settings()).fact(sent) == fact


def test_tags_of_other_deployments_are_not_ours() -> None:
    sent = b'{"data":{"id":"1"},"matching_rules":[{"tag":"starling:p-:flood"},{"tag":"starling:storm"}]}'
    assert X(Settings(topic_prefix="p-")).fact(sent) == Fact("1", tags=("flood",))


# ---- connections and search


async def test_release_ends_the_open_connections(fake: FakeX, x: X) -> None:
    fake.connections = ["one", "two"]
    await x.release()
    assert fake.connections == []
    assert fake.calls[0][2]["endpoints"] == "filtered_stream"
    await x.release()
    assert fake.asked("connections") == ["GET connections", "DELETE connections", "GET connections"]


async def test_recent_search_yields_pages_as_lines(fake: FakeX, x: X) -> None:
    first = {"data": [{"id": "1", "text": "a"}], "meta": {"result_count": 1, "next_token": "1"}}
    last = {"data": [{"id": "2", "text": "b"}], "meta": {"result_count": 1}}
    fake.pages = [first, last]
    found = [
        one async for one in x.search(x.asking([event("e", "#a"), event("f", "#a")]), 1_000_500, 2_000_500, Place())
    ]
    assert [(b'"id": "1"' in one.line, one.then) for one in found] == [(True, Place(0, "1")), (False, Place(1))]
    query = fake.calls[0][2]
    assert query["query"] == "#a"
    assert query["start_time"] == "1970-01-01T00:16:40Z"
    assert query["end_time"] == "1970-01-01T00:33:21Z"
    assert "expansions" in query
    assert len(fake.calls) == 2


async def test_recent_search_that_finds_nothing_yields_nothing(fake: FakeX, x: X) -> None:
    assert [one async for one in x.search(x.asking([event("e", "#a")]), 0, 1000, Place())] == []


@pytest.mark.parametrize(
    "page", [{"errors": [{"title": "Service Unavailable"}]}, {"meta": None}, {"meta": {}}], ids=str
)
async def test_a_search_that_does_not_say_how_much_it_found_has_searched_nothing(
    fake: FakeX, x: X, page: dict[str, Any]
) -> None:
    fake.pages = [page]
    with pytest.raises(Broken, match="did not say how much it found"):
        [one async for one in x.search(x.asking([event("e", "#a")]), 0, 1000, Place())]


async def test_a_search_that_is_led_in_a_circle_ends(fake: FakeX, x: X) -> None:
    page = {"data": [{"id": "1"}], "meta": {"result_count": 1, "next_token": "1"}}
    fake.pages = [page, page]
    with pytest.raises(Broken, match="has just given"):
        [one async for one in x.search(x.asking([event("e", "#a")]), 0, 1000, Place())]
    assert len(fake.calls) == 2


async def test_recent_search_goes_on_from_a_place(fake: FakeX, x: X) -> None:
    fake.pages = [{"data": [{"id": str(at)}], "meta": {"result_count": 1, "next_token": str(at + 1)}} for at in (0, 1)]
    fake.pages.append({"data": [{"id": "2"}], "meta": {"result_count": 1}})
    asking = x.asking([event("e", "#a"), event("f", "#b")])
    whole = [one async for one in x.search(asking, 0, 1000, Place())]
    assert [(one.then.query, one.then.page) for one in whole] == [
        *[(0, "1"), (0, "2"), (1, "")],
        *[(1, "1"), (1, "2"), (2, "")],
    ]
    for at, one in enumerate(whole):
        assert [rest async for rest in x.search(asking, 0, 1000, one.then)] == whole[at + 1 :]


LONG = " ".join(f"word{number}" for number in range(9))


async def test_what_recent_search_cannot_ask_is_told_and_the_rest_is_searched_for(fake: FakeX) -> None:
    x = source(fake, x_query_length=64)
    try:
        asking = x.asking([event("e", "#a", LONG), event("f", LONG)])
    finally:
        await x.close()
    assert asking.codes == {"e"}
    assert {
        code: ["needs more than the 64 characters" in one for one in what] for code, what in asking.refused.items()
    } == {
        "e": [True],
        "f": [True],
    }


async def test_what_x_has_not_understood_in_a_rule_is_not_searched_for(fake: FakeX, x: X) -> None:
    fake.invalid.add("#bad")
    events = [event("e", "#bad", "#good")]
    await x.select(events, surely)
    asking = x.asking(events)
    assert ([query.text for query in asking.queries], list(asking.refused)) == (["#good"], ["e"])


async def test_a_query_that_x_does_not_understand_gives_way_to_its_clauses(fake: FakeX, x: X) -> None:
    fake.pages = [{"data": [{"id": "1"}], "meta": {"result_count": 1}}]
    fake.invalid.add("#bad")
    asking = x.asking([event("a", "#first"), event("e", "#bad", "#good"), event("f", "#last")])
    found = [one async for one in x.search(asking, 0, 1000, Place())]
    assert [query["query"] for _, path, query, _ in fake.calls if path == "recent"] == [
        "#first",
        "#bad OR #good",
        "#bad",
        "#good",
        "#last",
    ]
    assert [one.then for one in found] == [Place(1), Place(2), Place(3)]
    assert asking.codes == {"a", "e", "f"}
    (why,) = asking.refused["e"]
    assert why.startswith("#bad: X does not understand a query: ")
