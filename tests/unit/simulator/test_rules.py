"""The simulator's own reading of X's rule language, against what X's documents say."""

from __future__ import annotations

from typing import Any

import pytest

from app.simulator.rules import InvalidRule, parse
from app.simulator.seen import Seen, seen_v1, seen_v2


def v2(text: str = "", *, others: tuple[dict[str, Any], ...] = (), **post: Any) -> Seen:
    users = [{"id": "1", "username": "Ann"}, {"id": "2", "username": "Bob"}]
    data = {"id": "9", "text": text, "author_id": "1", **post}
    places = [{"id": "p", "geo": {"bbox": [8.1, 47.1, 8.2, 47.2]}}]
    return seen_v2({"data": data, "includes": {"users": users, "tweets": list(others), "places": places}})


@pytest.mark.parametrize(
    ("rule", "text", "matches"),
    [
        ("cat", "A CAT.", True),
        ("cat", "cats", False),
        ("cola", "I like coca-cola", True),
        ('"coca cola"', "I like coca-cola", True),
        ('"coca cola"', "cola coca", False),
        ('"R&D"', "our R&amp;D", True),
        ("diacrítica", "diacrítica", True),
        ("diacrítica", "diacritica", False),
        ("cafe\u0301", "café", True),
        ("洪水", "大洪水だ", True),
        ("น้ำท่วม", "ข่าวน้ำท่วมวันนี้", True),
        ("홍수", "홍수가", True),
        ("बाढ़", "बाढ़ आई", True),
        ("mark", "high-water-mark写真", True),
        ("flood", "see #flood", True),
        ("$BRK.B", "buy $brk.b", True),
        ("$abc", "US$abc", False),
        ("#flood", "a#flood", False),
        ("#बाढ़", "#बाढ़", True),
        ("@bob", "see @Bob!", True),
        ("apple OR iphone ipad", "apple", True),
        ("apple OR iphone ipad", "iphone", False),
        ("apple OR iphone ipad", "ipad iphone", True),
        ("(apple OR iphone) ipad", "apple", False),
        ("(apple OR iphone) ipad", "apple ipad", True),
        ("cat -grumpy", "cat", True),
        ("cat -grumpy", "grumpy cat", False),
        ("cat -(grumpy OR sad)", "sad cat", False),
        ("😃", "hi 😃!", True),
    ],
)
def test_words(rule: str, text: str, matches: bool) -> None:
    assert parse(rule)(v2(text)) is matches


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ("#flood", True),
        ("#FLOOD", True),
        ("#floo", False),
        ("@bob", True),
        ("@ann", False),
        ("$abc", True),
        ("from:ann", True),
        ("from:1", True),
        ("from:bob", False),
        ("to:bob", True),
        ("retweets_of:bob", False),
        ('url:"https://news.example"', True),
        ("url:other.example", False),
        ("a lang:en", True),
        ("a lang:de", False),
        ("a has:geo has:links has:hashtags has:mentions has:cashtags", True),
        ("a -has:media", True),
        ("a is:retweet", False),
        ("a is:reply", True),
        ("bounding_box:[8.05 47.05 8.25 47.25]", True),
        ("bounding_box:[8.05 47.05 8.15 47.25]", False),
    ],
)
def test_what_else_can_be_asked(rule: str, matches: bool) -> None:
    entities = {
        "hashtags": [{"tag": "Flood"}],
        "mentions": [{"username": "Bob"}],
        "cashtags": [{"tag": "ABC"}],
        "urls": [{"url": "https://t.co/a", "expanded_url": "https://news.example/x"}],
    }
    post = v2(
        "a",
        entities=entities,
        lang="en",
        geo={"place_id": "p"},
        in_reply_to_user_id="2",
        referenced_tweets=[{"type": "replied_to", "id": "7"}],
    )
    assert parse(rule)(post) is matches


def test_words_of_a_quoted_and_a_retweeted_post_count_and_those_of_an_answered_one_do_not() -> None:
    other = {"id": "7", "text": "flood", "author_id": "2"}

    def with_other(kind: str) -> Seen:
        return v2("so", others=(other,), referenced_tweets=[{"type": kind, "id": "7"}])

    assert parse("flood")(with_other("quoted"))
    assert parse("flood retweets_of:bob is:retweet")(with_other("retweeted"))
    assert not parse("flood")(with_other("replied_to"))
    quoting = {"id": "6", "text": "so", "author_id": "2", "referenced_tweets": [{"type": "quoted", "id": "7"}]}
    assert parse("flood")(v2("so", others=(other, quoting), referenced_tweets=[{"type": "retweeted", "id": "6"}]))


def test_a_long_post_is_read_whole() -> None:
    assert parse("flood")(v2("the start…", note_tweet={"text": "the start and the flood"}))


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("", "no viable alternative at input '<EOF>'"),
        ("OR", "no viable alternative at input 'OR'"),
        ("cat OR", "no viable alternative at input '<EOF>'"),
        ("(cat", "missing ')' at '<EOF>'"),
        ("cat)", "extraneous input ')'"),
        ("()", "no viable alternative at input ')'"),
        ("((" * 2000, "nested"),
        ('"cat', "no viable alternative at character '\"'"),
        ('"..."', "no punctuation"),
        ("coca-cola", "no viable alternative at character '-'"),
        ("R&D", "no viable alternative at character '&'"),
        ("$toolong", "no viable alternative at input '$toolong'"),
        ("#R&D", "no viable alternative at character '&'"),
        ("cat and dog", "Ambiguous use of and as a keyword"),
        ("cat or dog", "Ambiguous use of or as a keyword"),
        ("colour:red", "Reference to invalid operator 'colour'"),
        ("cat has:wings", "Reference to invalid operator 'has:wings'"),
        ("-cat", "positive"),
        ("lang:en", "positive"),
        ("cat OR has:links", "positive"),
        ("cat lang:english", "invalid language"),
        ("bounding_box:[1 2 3]", "bounding_box"),
        ("bounding_box:[1 2 3 4]", "25mi"),
        ("bounding_box:[3 2 1 4]", "edges"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason_and_the_place(rule: str, why: str) -> None:
    with pytest.raises(InvalidRule, match=r"\(at position \d+\)$") as wrong:
        parse(rule)
    assert why in str(wrong.value)


def test_a_post_of_v1_is_read_whole_with_all_that_is_in_it() -> None:
    quoted = {"text": "a quoted flood", "user": {"screen_name": "Bob", "id_str": "2"}}
    post = {
        "text": "cut…",
        "extended_tweet": {"full_text": "cut no more", "entities": {"hashtags": [{"text": "River"}]}},
        "quoted_status": quoted,
        "user": {"screen_name": "Ann", "id_str": "1"},
        "geo": {"type": "Point", "coordinates": [47.1, 8.1]},
        "place": {"bounding_box": {"coordinates": [[[8, 47], [8, 48], [9, 48], [9, 47]]]}},
    }
    seen = seen_v1(post)
    assert {"more", "flood"} <= seen.words
    assert seen.hashtags == {"river"}
    assert seen.author == ("ann", "1")
    assert seen.point == (8.1, 47.1)
    assert seen.area == (8, 47, 9, 48)
