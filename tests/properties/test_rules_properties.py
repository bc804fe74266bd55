"""Invariants of rules: within the plan, nothing forgotten, and stable while events are edited."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.events import Event
from app.domain.keywords import parse_keyword
from app.domain.matcher import Matcher
from app.domain.posts import read
from app.domain.rules import Rule, clauses_in, difference, plan_rules
from app.domain.x_language import clauses_of
from app.simulator.rules import InvalidRule, parse
from app.simulator.seen import seen_v2
from tests.builders import line, v2_post, v2_user

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def is_keyword(text: str) -> bool:
    try:
        parse_keyword(text)
    except ValueError:
        return False
    return True


words = st.sampled_from(["sea", "#storm", "@redcross", "$tsla", '"flash flood"', "洪水", "🔥", "c++", "OR", "+", "a\\"])
keywords = st.one_of(
    st.lists(words, min_size=1, max_size=3).map(" ".join),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.integers(0, 300).map(lambda number: f"word{number}"),
).filter(is_keyword)
boxes = st.tuples(st.floats(-179, 178), st.floats(-89, 88), st.floats(0.01, 1), st.floats(0.01, 1)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


def event(code: str) -> st.SearchStrategy[Event]:
    return st.builds(
        lambda keywords, accounts, boxes, languages: Event(
            code=code,
            name=code,
            status="active",
            keywords=tuple(keywords),
            accounts=tuple(accounts),
            boxes=tuple(boxes),
            languages=tuple(languages),
        ),
        st.lists(keywords, max_size=12, unique=True),
        st.lists(st.sampled_from(["redcross", "12345", "did:plc:abc"]), max_size=2, unique=True),
        st.lists(boxes, max_size=1),
        st.sampled_from([(), (), ("en",), ("en", "zh-tw"), ("tlh",)]),
    )


several = st.tuples(event("a"), event("b"), event("c")).map(list)
limits = st.tuples(st.integers(1, 40), st.sampled_from([64, 128, 512, 1024]))


@CALM
@given(several, limits)
def test_lengths_and_counts_are_kept_and_no_rule_is_empty(events: list[Event], limit: tuple[int, int]) -> None:
    most, length = limit
    plan = plan_rules(events, most=most, length=length)
    assert len(plan.rules) <= most
    assert len(set(plan.rules)) == len(plan.rules)
    for rule in plan.rules:
        assert len(rule.value) <= length
        assert all(clauses_in(rule))
        assert rule.value.count('"') % 2 == 0
        bare = "".join(part for at, part in enumerate(rule.value.split('"')) if at % 2 == 0)
        assert bare.count("(") == bare.count(")")


@CALM
@given(several, limits)
def test_every_selector_is_asked_for_or_reported(events: list[Event], limit: tuple[int, int]) -> None:
    most, length = limit
    plan = plan_rules(events, most=most, length=length)
    for one in events:
        asked = {clause for rule in plan.rules if rule.tag == one.code for clause in clauses_in(rule)}
        clauses, _ = clauses_of(one)
        for clause in clauses:
            assert clause.text in asked or any(
                reason.startswith(f"{clause.selector}: ") for reason in plan.refused.get(one.code, ())
            )
        assert asked <= {clause.text for clause in clauses}


@CALM
@given(several, st.data())
def test_a_second_look_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    plan = plan_rules(events, most=200, length=512)
    held = [Rule(rule.tag, rule.value, str(at)) for at, rule in enumerate(data.draw(st.permutations(plan.rules)))]
    again = plan_rules(events, held, most=200, length=512)
    assert again.refused == plan.refused
    assert not difference(held, again.rules).add
    assert not difference(held, again.rules).remove


@CALM
@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=150, unique=True),
    st.lists(st.tuples(st.integers(0, 200), st.integers(10_001, 99_999)), max_size=12),
    event("other"),
)
def test_an_edit_changes_few_rules_and_none_of_another_event(
    numbers: list[int], edits: list[tuple[int, int]], other: Event
) -> None:
    def wanted() -> list[Event]:
        return [
            Event(code="e", name="e", status="active", keywords=tuple(f"word{number}" for number in numbers)),
            other,
        ]

    rules = plan_rules(wanted(), most=1000, length=512).rules
    for at, number in edits:
        numbers[at % len(numbers)] = number
        numbers[:] = dict.fromkeys(numbers)
        after = plan_rules(wanted(), rules, most=1000, length=512).rules
        change = difference(rules, after)
        assert len(change.add) <= 2
        assert len(change.remove) <= 2
        assert all(rule.tag == "e" for rule in change.add + change.remove)
        assert len(after) <= 2 * len(plan_rules(wanted(), most=1000, length=512).rules) + 1
        rules = after


# ---- against the simulator, which reads X's language by its own code


@CALM
@given(several)
def test_every_rule_is_one_that_x_understands(events: list[Event]) -> None:
    for rule in plan_rules(events, most=1000, length=1024).rules:
        try:
            parse(rule.value)
        except InvalidRule as why:
            assert "no punctuation" in str(why)  # which of the rarer symbols are emoji, X does not say


WORDS = ["flood", "Flash", "flash", "storm", "dam", "a_b", "at&t", "c++", "são", "straße", "don't", "2012", "🔥", "❤"]
said = st.lists(
    st.one_of(
        st.sampled_from(WORDS),
        st.sampled_from(["flood", "storm", "straße", "a_b"]).map("#{}".format),
        st.sampled_from(["flood", "redcross"]).map("@{}".format),
        st.sampled_from(["$tsla", "flash-flood", "(flood)", '"storm"', "flood,storm", "rain", "❤\ufe0f"]),
    ),
    max_size=6,
).map(" ".join)
links = st.sampled_from([None, "https://flood.example/dam", "https://news.example/flash-flood?c=2012"])
sought = st.lists(
    st.sampled_from(
        [*WORDS, "#flood", "#straße", "@flood", "@redcross", "$tsla", '"flash flood"', "flood storm", "tsla"]
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda text: parse_keyword(text).terms,
)
authors = st.sampled_from(["flood", "redcross", "someone"])


def posted(text: str, link: str | None, author: str, kind: str | None) -> dict[str, Any]:
    """A v2 payload with the entities that X recognizes; of a retweet or quote the words are the inner post's."""
    entities: dict[str, Any] = {
        "hashtags": [{"tag": tag} for tag in re.findall(r"(?<!\w)#(\w+)", text)],
        "mentions": [{"username": name} for name in re.findall(r"(?<!\w)@(\w+)", text)],
        "cashtags": [{"tag": tag} for tag in re.findall(r"(?<!\w)\$([a-z]+)", text)],
        "urls": [{"url": "https://t.co/1", "expanded_url": link, "display_url": link[8:]}] if link else [],
    }
    users = [v2_user(username=author, id="11"), v2_user(username="nobody", id="12")]
    inner = v2_post(text, id="1", author_id="11", entities=entities)
    if kind is None:
        return {"data": inner, "includes": {"users": users}}
    start = f"RT @{author}: …" if kind == "retweeted" else "look"
    named = [{"username": author}] if kind == "retweeted" else []
    outer = v2_post(
        start,
        id="2",
        author_id="12",
        referenced_tweets=[{"type": kind, "id": "1"}],
        entities={"mentions": named},
    )
    return {"data": outer, "includes": {"users": users, "tweets": [inner]}}


@CALM
@given(sought, said, links, authors, st.sampled_from([None, "retweeted", "quoted"]))
def test_x_hands_over_at_least_what_our_matcher_takes(
    keywords: list[str], text: str, link: str | None, author: str, kind: str | None
) -> None:
    event = Event(code="e", name="e", status="active", keywords=tuple(keywords), accounts=("redcross",))
    # Who wrote a quoted post is nothing that X has an operator for.
    payload = posted(text, link, "someone" if kind == "quoted" else author, kind)
    posts = read(line(payload))
    assert isinstance(posts, list)
    if Matcher([event]).match(posts[0]):
        seen = seen_v2(payload)
        assert any(parse(rule.value)(seen) for rule in plan_rules([event], most=99, length=1024).rules)
