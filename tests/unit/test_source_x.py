"""X's filtered stream against a small X in this process: rules, lines, troubles, connections, recent search."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.domain.events import Event
from app.settings import Settings
from app.sources.lines import Splitter
from app.sources.source import MOST_LINE_BYTES, Broken, Fact, Opened, Place, Resume, Selection, Source, Trouble
from app.sources.x import X
from tests.builders import line, v2_payload
from tests.support.x_server import TOKEN, TOO_MANY, FakeX, serving


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
    selection = await x.select([event("flood", "#flood", version=7), event("storm", "#storm")])
    assert selection == Selection({"flood": 7, "storm": 1})
    assert values(fake) == [("starling:flood", "#flood"), ("starling:storm", "#storm")]


async def test_the_same_events_cost_no_request(fake: FakeX, x: X) -> None:
    await x.select([event("flood", "#flood")])
    before = len(fake.calls)
    assert await x.select([event("flood", "#flood")]) == Selection({"flood": 1})
    assert len(fake.calls) == before


async def test_new_rules_are_added_before_old_ones_go(fake: FakeX, x: X) -> None:
    await x.select([event("flood", "#flood")])
    fake.calls.clear()
    await x.select([event("flood", "#rain", version=2)])
    assert values(fake) == [("starling:flood", "#rain")]
    assert [next(iter(body)) for method, _, _, body in fake.calls if method == "POST"] == ["add", "delete"]


async def test_rules_of_other_programs_stay(fake: FakeX, x: X) -> None:
    others = [
        {"id": "a", "value": "cats"},
        {"id": "b", "value": "#flood", "tag": "flood"},
        {"id": "c", "value": "#flood", "tag": "starling:test-:flood"},
    ]
    fake.rules = list(others)
    await x.select([event("flood", "#flood")])
    await x.select([])
    assert fake.rules == others


async def test_a_deployment_with_a_prefix_keeps_its_own_rules(fake: FakeX, x: X) -> None:
    other = source(fake, topic_prefix="test-")
    await x.select([event("flood", "#flood")])
    await other.select([event("flood", "#storm")])
    assert values(fake) == [("starling:flood", "#flood"), ("starling:test-:flood", "#storm")]
    await other.select([])
    assert values(fake) == [("starling:flood", "#flood")]
    await other.close()


async def test_rules_that_an_earlier_process_left_are_taken_over(fake: FakeX, x: X) -> None:
    fake.rules = [
        {"id": "old", "value": "#flood", "tag": "starling:flood"},
        {"id": "gone", "value": "#snow", "tag": "starling:snow"},
    ]
    await x.select([event("flood", "#flood")])
    assert [rule["id"] for rule in fake.rules] == ["old"]
    assert fake.asked("rules") == ["GET stream/rules", "POST stream/rules"]


async def test_many_rules_come_in_pages_and_go_in_batches(fake: FakeX) -> None:
    x = source(fake, x_rule_length=64)
    events = [event(f"e{at:03}", f"#tag{at}") for at in range(250)]
    await x.select(events)
    assert fake.asked("rules").count("POST stream/rules") == 3
    await x.close()
    fake.page, fake.calls = 100, []
    x = source(fake, x_rule_length=64)
    await x.select(events)
    assert fake.asked("rules") == ["GET stream/rules"] * 3
    await x.close()


async def test_a_keyword_that_x_does_not_understand_is_reported_and_the_others_go_on(fake: FakeX, x: X) -> None:
    fake.invalid = {"#bad"}
    selection = await x.select([event("flood", "#flood", "#bad", "#rain"), event("storm", "#storm")])
    assert sorted(values(fake)) == [("starling:flood", "#flood OR #rain"), ("starling:storm", "#storm")]
    assert selection.versions == {"flood": 1, "storm": 1}
    assert selection.refused == {"flood": ("#bad: X does not understand it (no viable alternative)",)}


async def test_a_keyword_that_x_does_not_understand_is_asked_for_once(fake: FakeX, x: X) -> None:
    fake.invalid = {"#bad"}
    await x.select([event("flood", "#flood", "#bad")])
    fake.calls.clear()
    selection = await x.select([event("flood", "#flood", "#bad", "#rain", version=2)])
    assert "flood" in selection.refused
    assert not any("#bad" in str(body) for _, _, _, body in fake.calls)


async def test_a_rule_that_is_there_already_is_a_success(fake: FakeX, x: X, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_yet() -> dict[str, Any]:
        return {"meta": {}}

    fake.rules = [{"id": "old", "value": "#flood", "tag": "starling:flood"}]
    monkeypatch.setattr(x._client, "get_rules", nothing_yet)
    assert await x.select([event("flood", "#flood")]) == Selection({"flood": 1})
    assert [rule["id"] for rule in fake.rules] == ["old"]


async def test_what_two_events_want_alike_is_one_rule_until_neither_wants_it(fake: FakeX, x: X) -> None:
    one, other = event("flood", "#flood"), event("flood-2", "#flood", "#storm")
    assert await x.select([one]) == Selection({"flood": 1})
    both = Selection({"flood": 1, "flood-2": 1})
    assert await x.select([one, event("flood-2", "#flood")]) == both
    assert values(fake) == [("starling:flood", "#flood")]
    sent = b'{"data":{"id":"7"},"matching_rules":[{"id":"r1","tag":"starling:flood"}]}'
    assert x.fact(sent).tags == ("flood", "flood-2")
    assert await x.select([event("flood-2", "#flood")]) == Selection({"flood-2": 1})
    assert values(fake) == [("starling:flood", "#flood")], "the other still wants it"
    assert x.fact(sent).tags == ("flood-2",)
    assert await x.select([other]) == Selection({"flood-2": 1})
    assert values(fake) == [("starling:flood-2", "#flood OR #storm")]
    assert await x.select([]) == Selection()
    assert fake.rules == []


async def test_two_new_events_that_want_the_same_are_both_asked_for(fake: FakeX, x: X) -> None:
    assert await x.select([event("a", "#flood"), event("b", "#flood")]) == Selection({"a": 1, "b": 1})
    assert len(fake.rules) == 1
    assert await x.select([event("b", "#flood")]) == Selection({"b": 1})
    assert len(fake.rules) == 1


async def test_what_another_program_asks_for_alike_is_not_ours_to_remove(fake: FakeX, x: X) -> None:
    fake.rules.append({"value": "#flood", "tag": "theirs", "id": "f1"})
    assert await x.select([event("flood", "#flood")]) == Selection({"flood": 1})
    assert await x.select([]) == Selection()
    assert values(fake) == [("theirs", "#flood")]


async def test_a_full_plan_is_reported_and_what_was_in_force_stays(fake: FakeX, x: X) -> None:
    fake.cap = 2
    await x.select([event("a", "#a"), event("b", "#b")])
    selection = await x.select([event("a", "#a"), event("b", "#b2", version=2)])
    assert values(fake) == [("starling:a", "#a"), ("starling:b", "#b")]
    assert selection.versions == {"a": 1, "b": 1}
    assert "STARLING_X_RULES" in selection.refused["b"][0]
    fake.cap = 3
    assert (await x.select([event("a", "#a"), event("b", "#b2", version=2)])).versions == {"a": 1, "b": 2}
    assert values(fake) == [("starling:a", "#a"), ("starling:b", "#b2")]


async def test_what_had_no_room_is_asked_for_once_others_have_made_room(fake: FakeX) -> None:
    fake.cap = 2
    fake.rules = [{"id": "foreign", "value": "cats"}]
    x = source(fake, x_rules=2)
    events = [event("a", "#a"), event("b", "#b")]
    selection = await x.select(events)
    assert (selection.versions, list(selection.refused)) == ({"a": 1}, ["b"])
    fake.calls.clear()
    assert await x.select(events) == selection
    assert fake.asked() == ["GET stream/rules"], "a look, and nothing else"
    fake.rules = [rule for rule in fake.rules if rule["id"] != "foreign"]
    assert await x.select(events) == Selection({"a": 1, "b": 1})
    fake.calls.clear()
    await x.select(events)
    assert fake.asked() == []
    await x.close()


async def test_only_as_many_rules_go_first_as_the_plan_makes_necessary(fake: FakeX) -> None:
    fake.cap = 3
    fake.rules = [{"id": "foreign", "value": "cats"}]
    x = source(fake, x_rules=3, x_rule_length=64)
    await x.select([event("a", "#a"), event("b", "#b")])
    fake.calls.clear()
    selection = await x.select([event("a", "#a2", version=2), event("b", "#b")])
    assert [next(iter(body)) for method, _, _, body in fake.calls if method == "POST"] == ["delete", "add"]
    assert selection == Selection({"a": 2, "b": 1})
    assert sorted(values_of_ours(fake)) == ["#a2", "#b"]
    await x.close()


def values_of_ours(fake: FakeX) -> list[str]:
    return [rule["value"] for rule in fake.rules if rule.get("tag", "").startswith("starling:")]


async def test_what_cannot_be_asked_is_reported(fake: FakeX, x: X) -> None:
    selection = await x.select([event("e", "+", "#a")])
    assert selection == Selection({"e": 1}, {"e": ("+: X does not look for signs such as +",)})


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


async def test_a_wrong_token_is_told(fake: FakeX) -> None:
    x = source(fake, x_bearer_token=TOKEN + "?")
    with pytest.raises(Broken, match=r"X refuses the token \(401 Unauthorized\)"):
        await x.select([event("e", "#a")])
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
    await x.select([])
    fake.calls.clear()
    _, broken = await heard(x)
    assert str(broken) == "X has no rule to listen for: no active event has any that X takes"
    assert fake.calls == []


async def test_rules_that_x_has_lost_are_made_again(fake: FakeX, x: X) -> None:
    await x.select([event("e", "#a")])
    fake.rules.clear()
    fake.answer = (409, {}, {"connection_issue": "RuleConfigurationIssue"})
    await heard(x)
    fake.answer = None
    await x.select([event("e", "#a")])
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
    found = [one async for one in x.search([event("e", "#a"), event("f", "#a")], 1_000_500, 2_000_500, Place())]
    assert [(b'"id": "1"' in one.line, one.then) for one in found] == [(True, Place(0, "1")), (False, Place(1))]
    query = fake.calls[0][2]
    assert query["query"] == "#a"
    assert query["start_time"] == "1970-01-01T00:16:40Z"
    assert query["end_time"] == "1970-01-01T00:33:21Z"
    assert "expansions" in query
    assert len(fake.calls) == 2


async def test_recent_search_that_finds_nothing_yields_nothing(fake: FakeX, x: X) -> None:
    assert [one async for one in x.search([event("e", "#a")], 0, 1000, Place())] == []


async def test_recent_search_goes_on_from_a_place(fake: FakeX, x: X) -> None:
    fake.pages = [{"data": [{"id": str(at)}], "meta": {"result_count": 1, "next_token": str(at + 1)}} for at in (0, 1)]
    fake.pages.append({"data": [{"id": "2"}], "meta": {"result_count": 1}})
    events = [event("e", "#a"), event("f", "#b")]
    whole = [one async for one in x.search(events, 0, 1000, Place())]
    assert [(one.then.query, one.then.page) for one in whole] == [
        *[(0, "1"), (0, "2"), (1, "")],
        *[(1, "1"), (1, "2"), (2, "")],
    ]
    for at, one in enumerate(whole):
        assert [rest async for rest in x.search(events, 0, 1000, one.then)] == whole[at + 1 :]
