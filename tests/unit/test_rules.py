"""What X is asked for: keywords, accounts and boxes in its rule language, packed into rules; changes at an edit."""

from __future__ import annotations

import math
import re

import pytest

from app.domain.events import Event
from app.domain.rules import Difference, Rule, clauses_in, difference, fair_shares, plan_rules, split
from app.domain.x_language import MOST_TILES, clauses_of, language_clause


def event(code: str = "flood", *keywords: str, **fields: object) -> Event:
    return Event(code=code, name=code, status="active", keywords=keywords, **fields)  # type: ignore[arg-type]


def asked(*keywords: str, **fields: object) -> list[str]:
    clauses, refused = clauses_of(event("e", *keywords, **fields))
    assert refused == []
    return [clause.text for clause in clauses]


@pytest.mark.parametrize(
    ("typed", "clause"),
    [
        ("Flood", "(flood OR #flood OR @flood OR from:flood OR url:flood)"),
        (
            "dam bridge",
            "(bridge OR #bridge OR @bridge OR from:bridge OR url:bridge) (dam OR #dam OR @dam OR from:dam OR url:dam)",
        ),
        ('"Flash Flood"', '("flash flood" OR url:"flash flood")'),
        ("#Flood", "#flood"),
        ("#flood-2", '("flood-2" OR url:"flood-2")'),
        ("#1", "(1 OR @1 OR url:1)"),
        ("@RedCross", "(@redcross OR from:redcross)"),
        ("$TSLA", "$tsla"),
        ("$brk.b", "$brk.b"),
        ("2012", "(2012 OR @2012 OR url:2012)"),
        ("são", "(são OR #são)"),
        ("洪水", "(洪水 OR #洪水)"),
        ("हिन्दी", "(हिन्दी OR #हिन्दी)"),
        ("Straße", "(strasse OR #strasse OR straße OR #straße OR @strasse OR from:strasse OR url:strasse)"),
        ("#Straße", "(#strasse OR #straße)"),
        ('"große Flut"', '("grosse flut" OR "große flut" OR url:"grosse flut")'),
        ("ΟΔΟΣ", "(οδοσ OR #οδοσ OR οδος OR #οδος)"),
        ("🔥", '"🔥"'),
        ("#🔥", '"🔥"'),
        ("❤", '("❤" OR "❤\ufe0f")'),
        ("c++", '("c++" OR url:"c++")'),
        ("AT&T", '("at&t" OR url:"at&t")'),
        ("example.com/path", '("example.com/path" OR url:"example.com/path")'),
        ("a_b", '("a_b" OR #a_b OR @a_b OR from:a_b OR url:"a_b")'),
    ],
)
def test_a_keyword_in_the_language_of_x(typed: str, clause: str) -> None:
    assert asked(typed) == [clause]


@pytest.mark.parametrize(
    "typed", ["OR", "and", "not", "-flood", "lang:en", "from:x", "(flood)", "flood)", "\\d", "a\\b", "is:retweet", "~5"]
)
def test_what_x_would_read_as_an_operator_stands_in_quotes(typed: str) -> None:
    clauses, _ = clauses_of(event("e", typed))
    for clause in clauses:
        bare = re.sub(r'"[^"]*"', '""', clause.text)
        assert "\\" not in clause.text
        for part in bare.strip("()").split(" OR "):
            assert re.fullmatch(r'(url:)?("")|(#|@|from:|url:)?[a-z0-9_]+', part), part


def test_signs_that_x_does_not_look_for_are_refused_and_the_others_go_on() -> None:
    plan = plan_rules([event("e", "+", "flood", "€")], most=9, length=512)
    assert plan.refused == {
        "e": ("+: X does not look for signs such as +", "€: X does not look for signs such as €"),
    }
    assert [clauses_in(rule) for rule in plan.rules] == [[asked("flood")[0]]]


@pytest.mark.parametrize("languages", [(), ("de",), ("de", "fr")])
def test_a_rule_is_split_into_its_clauses_each_as_restricted_as_it_was(languages: tuple[str, ...]) -> None:
    wanted = event("e", "flood", '"dike (holds)"', "#deich", languages=languages)
    (rule,) = plan_rules([wanted], most=9, length=1024).rules
    alone = split(rule)
    assert [clause for one in alone for clause in clauses_in(one)] == clauses_in(rule)
    assert all(len(clauses_in(one)) == 1 for one in alone)
    assert {one.value.partition(") lang:")[1] or one.value.partition(") (lang:")[1] for one in alone} == {
        {0: "", 1: ") lang:", 2: ") (lang:"}[len(languages)]
    }


def test_an_account_is_its_posts_retweets_of_it_and_replies_to_it() -> None:
    assert asked(accounts=("redcross", "1234567890123456789")) == [
        "(from:redcross OR retweets_of:redcross OR to:redcross)",
        "(from:1234567890123456789 OR retweets_of:1234567890123456789 OR to:1234567890123456789)",
    ]


def test_an_account_of_another_platform_is_refused() -> None:
    plan = plan_rules([event("e", accounts=("did:plc:abc", "redcross"))], most=9, length=512)
    assert plan.refused == {"e": ("from:did:plc:abc: no account of X has such a name",)}
    assert len(plan.rules) == 1


def test_a_small_box_is_asked_for_as_it_is() -> None:
    assert asked(boxes=((-105.301758, 39.964069, -105.178505, 40.09455),)) == [
        "bounding_box:[-105.301758 39.964069 -105.178505 40.09455]"
    ]


@pytest.mark.parametrize("south", [-89.9, -40.0, -0.5, 0.0, 47.0, 70.0, 88.5])
def test_a_larger_box_is_tiled_without_a_gap_and_no_tile_is_too_large(south: float) -> None:
    west, east, north = 7.0, 8.0, south + 0.9
    tiles = [
        tuple(map(float, re.fullmatch(r"bounding_box:\[(\S+) (\S+) (\S+) (\S+)\]", text).groups()))  # type: ignore[union-attr]
        for text in asked(boxes=((west, south, east, north),))
    ]
    assert 1 < len(tiles) <= MOST_TILES
    area = 0.0
    for left, low, right, high in tiles:
        near = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        assert (high - low) * 69.41 < 25
        assert (right - left) * 69.18 * math.cos(math.radians(near)) < 25
        area += (right - left) * (high - low)
    assert area == pytest.approx((east - west) * (north - south))


def test_a_box_across_the_antimeridian_is_two() -> None:
    assert asked(boxes=((179.9, 0.0, -179.9, 0.25),)) == [
        "bounding_box:[179.9 0 180 0.25]",
        "bounding_box:[-180 0 -179.9 0.25]",
    ]


@pytest.mark.parametrize("box", [(-180.0, -90.0, 180.0, 90.0), (5.0, 45.0, 11.0, 48.0)])
def test_a_box_of_too_many_tiles_is_refused(box: tuple[float, float, float, float]) -> None:
    _, refused = clauses_of(event("e", boxes=(box,)))
    assert len(refused) == 1
    assert "25 miles" in refused[0]


@pytest.mark.parametrize(
    ("languages", "clause"),
    [
        ((), ""),
        (("en",), "lang:en"),
        (("en", "zh-tw"), "(lang:en OR lang:zh-TW)"),
        (("en", "tlh"), ""),
        (("pt-br",), ""),
        (("zh",), ""),
        (("und",), ""),
    ],
)
def test_languages_restrict_where_x_has_them_all(languages: tuple[str, ...], clause: str) -> None:
    assert language_clause(languages) == clause


def test_a_rule_holds_several_clauses_and_the_languages() -> None:
    (rule,) = plan_rules([event("e", "#a", "#b", languages=("en", "de"))], most=9, length=512).rules
    assert rule == Rule("e", "(#a OR #b) (lang:en OR lang:de)")
    assert clauses_in(rule) == ["#a", "#b"]


def test_events_do_not_share_rules() -> None:
    plan = plan_rules([event("b", "#x"), event("a", "#x")], most=9, length=512)
    assert plan.rules == (Rule("a", "#x"), Rule("b", "#x"))


def test_a_keyword_that_is_longer_than_a_rule_is_refused() -> None:
    plan = plan_rules([event("e", "x" * 100, "#a", languages=("en",))], most=9, length=64)
    assert plan.rules == (Rule("e", "(#a) lang:en"),)
    assert "needs more than the 64 characters that X allows" in plan.refused["e"][0]


def test_what_x_has_refused_before_is_left_out_with_its_reason() -> None:
    plan = plan_rules([event("e", "#a", "#b")], most=9, length=64, unusable={"#a": "X says no"})
    assert plan.rules == (Rule("e", "#b"),)
    assert plan.refused == {"e": ("#a: X says no",)}


def test_nobody_is_asked_for_nothing() -> None:
    assert plan_rules([], most=9, length=64).rules == ()
    assert plan_rules([event("e", "+")], most=9, length=64).rules == ()


# ---- the plan has too few rules


@pytest.mark.parametrize(
    ("needs", "most", "shares"),
    [
        ([], 5, []),
        ([2, 3], 9, [2, 3]),
        ([1, 100], 25, [1, 24]),
        ([100, 100, 100], 25, [9, 8, 8]),
        ([100, 2, 100], 25, [12, 2, 11]),
        ([1, 1, 1], 2, [1, 1, 0]),
    ],
)
def test_shares_are_fair(needs: list[int], most: int, shares: list[int]) -> None:
    assert fair_shares(needs, most) == shares


def tags(prefix: str, count: int) -> list[str]:
    return [f"#{prefix}{at:03}{'x' * 20}" for at in range(count)]  # two of them fill a rule of 64


def test_what_has_no_room_is_reported_and_the_first_keywords_come_first() -> None:
    plan = plan_rules([event("a", *tags("a", 10)), event("b", "#b")], most=3, length=64)
    assert [clause for rule in plan.rules for clause in clauses_in(rule)] == [*tags("a", 4), "#b"]
    assert plan.refused == {"a": tuple(f"{tag}: all 3 rules of the X plan are in use" for tag in tags("a", 10)[4:])}


def test_an_edit_moves_no_rule_of_another_event() -> None:
    before = plan_rules([event("a", *tags("a", 10)), event("b", *tags("b", 10))], most=6, length=64)
    after = plan_rules([event("a", *tags("a", 11)), event("b", *tags("b", 10))], before.rules, most=6, length=64)
    assert [rule for rule in after.rules if rule.tag == "b"] == [rule for rule in before.rules if rule.tag == "b"]


# ---- rules in force


def test_an_edit_of_a_large_event_changes_few_rules() -> None:
    keywords = [f"keyword{at}" for at in range(600)]
    before = plan_rules([event("e", *keywords)], most=1000, length=1024)
    keywords[300] = "another"
    after = plan_rules([event("e", *keywords)], before.rules, most=1000, length=1024)
    change = difference(before.rules, after.rules)
    assert len(before.rules) > 30
    assert len(change.add) <= 2
    assert len(change.remove) <= 2


def test_the_same_events_change_nothing() -> None:
    events = [event("a", *tags("a", 30)), event("b", "flood", languages=("en",), boxes=((7, 47, 7.5, 47.5),))]
    before = plan_rules(events, most=99, length=512)
    held = [Rule(rule.tag, rule.value, str(at)) for at, rule in enumerate(reversed(before.rules))]
    assert difference(held, plan_rules(events, held, most=99, length=512).rules) == Difference()


def test_rules_that_lost_their_clauses_do_not_pile_up() -> None:
    keywords = tags("a", 200)
    rules = plan_rules([event("e", *keywords)], most=1000, length=1024).rules
    for at in range(0, 200, 2):
        keywords[at] = keywords[at].replace("#a", "#b")
        rules = plan_rules([event("e", *keywords)], rules, most=1000, length=1024).rules
    assert len(rules) <= 2 * len(plan_rules([event("e", *keywords)], most=1000, length=1024).rules)


def test_a_change_of_languages_replaces_the_rules() -> None:
    before = plan_rules([event("e", "#a", languages=("en",))], most=9, length=64).rules
    after = plan_rules([event("e", "#a", languages=("de",))], before, most=9, length=64).rules
    assert after == (Rule("e", "(#a) lang:de"),)


def test_a_rule_that_somebody_else_wrote_under_our_tag_is_replaced() -> None:
    held = [Rule("e", 'cats has:images -"', "1"), Rule("e", ")) OR ((", "2")]
    after = plan_rules([event("e", "#a")], held, most=9, length=64).rules
    assert difference(held, after) == Difference((Rule("e", "#a"),), tuple(held))


def test_the_difference_names_the_ids_and_removes_twins() -> None:
    held = [Rule("e", "#a", "1"), Rule("e", "#a", "2"), Rule("f", "#a", "3"), Rule("gone", "#z", "4")]
    wanted = [Rule("e", "#a"), Rule("f", "#a"), Rule("f", "#b")]
    assert difference(held, wanted) == Difference((Rule("f", "#b"),), (held[1], held[3]))
