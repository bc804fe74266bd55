"""Invariants of rules: within the plan, nothing forgotten, and stable while events are edited."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.events import Event
from app.domain.keywords import parse_keyword
from app.domain.rules import Rule, clauses_in, difference, plan_rules
from app.domain.x_language import clauses_of

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
