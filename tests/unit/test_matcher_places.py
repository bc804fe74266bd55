"""Where in a post a keyword is looked for, and where not."""

from __future__ import annotations

import pytest

from app.domain.passages import SEPARATOR
from app.domain.posts import Json, Post
from tests import builders
from tests.builders import (
    entities,
    extended_status,
    link,
    quote_of,
    rest_status,
    retweet_of,
    status,
    user,
    v2_payload,
    v2_post,
    v2_user,
)
from tests.support.matching import bare, found

ORIGINAL = status("The dam at Rotwasser holds", user=user("dam_office"), entities=entities(hashtags=("Damm",)))
LINKED = status("look", entities=entities(urls=("https://news.example/big-storm",), mentions=("river_office",)))


@pytest.mark.parametrize(
    ("keyword", "body", "places"),
    [
        ("water", status("Water here"), "text"),
        ("water", status("Fire here"), None),
        ("#storm", status("no tag in the text", entities=entities(hashtags=("Storm",))), "hashtag"),
        ("storm", status("#storm", entities=entities(hashtags=("Storm",))), "text,hashtag"),
        ("storm", LINKED, "url"),
        ("news.example", LINKED, "url"),
        ("@river_office", LINKED, "mention"),
        ("river_office", LINKED, "mention"),
        ("mill_watch", status("x"), "screen_name"),
        ("@mill_watch", status("x"), "screen_name"),
        ("bread", extended_status(), "text"),
        ("#rotwasser", extended_status(), "text,hashtag"),
        ("bread", rest_status(), "text"),
        ("holds", retweet_of(ORIGINAL), "text,retweeted_text"),
        ("#damm", retweet_of(ORIGINAL), "retweeted_hashtag"),
        ("@dam_office", retweet_of(ORIGINAL), "text,mention,retweeted_screen_name"),
        ("bread", retweet_of(extended_status()), "retweeted_text"),
        ("holds", quote_of(ORIGINAL), "quoted_text"),
        ("dam_office", quote_of(ORIGINAL), "quoted_screen_name"),
        ("holds", retweet_of(quote_of(ORIGINAL)), "quoted_text"),
        ("dam look", quote_of(ORIGINAL), "text,quoted_text"),
        ('"look the"', quote_of(ORIGINAL), None),
        ("water lower", v2_payload(), "text"),
        ("mill_watch", v2_payload(), "screen_name"),
        ("bread", v2_payload("short…", note_tweet={"text": "all about bread"}), "text"),
        ("short", v2_payload("short", note_tweet={"text": "all about bread"}), None),
        ("#damm", v2_payload("x", entities={"hashtags": [{"tag": "Damm"}]}), "hashtag"),
        ("$tsla", v2_payload("x", entities={"cashtags": [{"tag": "TSLA"}]}), "hashtag"),
        ("@you", v2_payload("x", entities={"mentions": [{"username": "You"}]}), "mention"),
        ("storm", v2_payload("x", entities={"urls": [link("https://news.example/storm")]}), "url"),
        ("storm", v2_payload("x", entities={"urls": [link("https://x.example/storm", media_key="3_1")]}), None),
        ("#damm", v2_payload("x", note_tweet={"text": "y", "entities": {"hashtags": [{"tag": "Damm"}]}}), "hashtag"),
        (
            "holds",
            v2_payload(
                "RT", {"tweets": [v2_post("It holds", id="5")]}, referenced_tweets=[{"type": "retweeted", "id": "5"}]
            ),
            "retweeted_text",
        ),
        (
            "@other",
            v2_payload(
                "Look",
                {"tweets": [v2_post("It holds", id="5", author_id="6")], "users": [v2_user("other", id="6")]},
                referenced_tweets=[{"type": "quoted", "id": "5"}],
            ),
            "quoted_screen_name",
        ),
        (
            "holds",
            v2_payload(
                "I", {"tweets": [v2_post("It holds", id="5")]}, referenced_tweets=[{"type": "replied_to", "id": "5"}]
            ),
            None,
        ),
        (
            "deep",
            v2_payload(
                "RT",
                {
                    "tweets": [
                        v2_post("See", id="5", referenced_tweets=[{"type": "quoted", "id": "6"}]),
                        v2_post("deep water", id="6"),
                    ]
                },
                referenced_tweets=[{"type": "retweeted", "id": "5"}],
            ),
            "quoted_text",
        ),
    ],
)
def test_the_places_in_which_a_keyword_is_found(keyword: str, body: Json, places: str | None) -> None:
    assert found(keyword, builders.post(body)) == places


@pytest.mark.parametrize("base", ["https://twitter.com/i/web/status/", "https://x.com/i/web/status/"])
@pytest.mark.parametrize("keyword", ["web", "status", "twitter.com", "1234"])
def test_the_platforms_own_read_more_link_is_left_out(base: str, keyword: str) -> None:
    cut = status("x", entities=entities(urls=(base + "1234",)))
    assert found(keyword, builders.post(cut)) is None
    assert found(keyword, builders.post(v2_payload("x", entities={"urls": [link(base + "1234")]}))) is None


def test_the_word_that_was_cut_at_the_end_of_a_retweet_is_not_taken_for_a_whole_one() -> None:
    words = "church " * 16 + "at the "  # so that "firework" stands across the 140th character
    retweet = retweet_of(status(words + "firework they stand"))
    assert retweet["text"].endswith("at the fire…")
    assert found("fire", builders.post(retweet)) is None
    assert found("firework", builders.post(retweet)) == "retweeted_text"
    assert found("church", builders.post(retweet)) == "text,retweeted_text"
    same_as_v2 = v2_payload(
        retweet["text"],
        {"tweets": [v2_post(words + "firework", id="5")]},
        referenced_tweets=[{"type": "retweeted", "id": "5"}],
    )
    assert found("fire", builders.post(same_as_v2)) is None


def test_three_dots_that_a_person_typed_end_a_word() -> None:
    assert found("fire", builders.post(status("there is fire…"))) == "text"
    assert found("fire", builders.post(v2_payload("there is fire…"))) == "text"


@pytest.mark.parametrize(
    ("expanded", "display", "keyword", "places"),
    [
        ("https://news.example/firework-in-talheim", "news.example/fire…", "fire", None),
        ("https://news.example/firework-in-talheim", "news.example/fire…", "firework", "url"),
        ("https://short.example/a1", "pretty.example/fire", "fire", "url"),
        ("https://short.example/a1", None, "a1", "url"),
        (None, "pretty.example/fire", "fire", "url"),
        (None, None, "fire", None),
        ("https://example.com/ab", "b", "b", "url"),
    ],
)
def test_a_link_counts_once_and_never_by_a_word_that_was_cut(
    expanded: str | None, display: str | None, keyword: str, places: str | None
) -> None:
    url = {"url": "https://t.co/1", "expanded_url": expanded, "display_url": display}
    assert found(keyword, bare("x", entities={"urls": [url]})) == places


@pytest.mark.parametrize(
    ("body", "keyword"),
    [
        ({"entities": {"hashtags": [None, {"text": 5}, {"text": "Storm"}]}}, "#storm"),
        ({"entities": {"user_mentions": [{"screen_name": ["x"]}], "hashtags": [{"text": "storm"}]}}, "#storm"),
        ({"entities": {"urls": [{"expanded_url": 5}, "x"], "hashtags": [{"text": "storm"}]}}, "#storm"),
        ({"entities": {"urls": {"expanded_url": "https://x.example/storm"}}}, "storm"),
        ({"entities": ["x"], "retweeted_status": [{"text": "storm"}]}, "storm"),
        ({"full_text": {"text": "storm"}, "entities": 5}, "storm"),
        ({"extended_tweet": {"text": "storm"}}, "storm"),
        ({"user": "screen_name", "quoted_status": {"text": "storm"}}, "storm"),
        ({"user": {"screen_name": None}, "quoted_status": {"text": "storm", "user": 4}}, "storm"),
        ({"extended_tweet": "x", "retweeted_status": {"text": "storm"}}, "storm"),
        ({"retweeted_status": {"id": 5, "quoted_status": {"text": "storm"}}}, "storm"),
    ],
)
def test_fields_of_odd_types_hide_nothing_else(body: Json, keyword: str) -> None:
    post = bare("flood", **body)
    assert found("flood", post)
    assert found(keyword, post)


def test_odd_posts_are_read_like_others_otherwise() -> None:
    post = bare("at&amp;t", entities={"urls": [link("https://x.com/i/web/status/1"), 5]}, user={"screen_name": "Ann"})
    assert found("at&t", post) == "text"
    assert found("web", post) is None
    assert found("@ann", post) == "screen_name"


def test_an_odd_v2_post_is_looked_through_with_the_posts_that_it_shares() -> None:
    payload = v2_payload(
        "x",
        {
            "users": [v2_user("ann"), v2_user("bob", id="9")],
            "tweets": [v2_post("storm", id="5", author_id="9"), v2_post("hail", id="6")],
        },
        author_id=v2_user("ann")["id"],
        entities={"hashtags": [5], "mentions": [{"username": "Carl"}]},
        referenced_tweets=[{"type": "quoted", "id": "5"}, {"type": "replied_to", "id": "6"}, {"type": "quoted"}, 7],
    )
    post = builders.post(payload)
    places = {word: found(word, post) for word in ("storm", "@ann", "@bob", "@carl", "hail")}
    assert places == {
        "storm": "quoted_text",
        "@ann": "screen_name",
        "@bob": "quoted_screen_name",
        "@carl": "mention",
        "hail": None,
    }


def test_a_post_that_refers_to_itself_is_looked_through_once() -> None:
    loop = [{"type": "retweeted", "id": "5"}]
    payload = v2_payload("x", {"tweets": [v2_post("storm", id="5", referenced_tweets=loop)]}, referenced_tweets=loop)
    assert found("storm", builders.post(payload)) == "retweeted_text"


def test_a_post_nested_without_end_is_looked_through_to_a_depth() -> None:
    body: Json = {"text": "flood", "user": 5}
    inner = body
    for _ in range(400):
        inner["x"] = [{}]
        inner = inner["x"][0]
    inner["text"] = "storm"
    post = Post("1", "v1", body, {}, b"")
    body["entities"] = 5
    assert found("flood", post) == "text"
    assert found("storm", post) is None


def test_a_control_character_in_a_text_moves_no_place() -> None:
    post = bare(f"a{SEPARATOR}b{SEPARATOR}c", entities=entities(hashtags=("Storm",)))
    assert found("b", post) == "text"
    assert found("#storm", post) == "hashtag"
    assert found('"a b"', post) == "text"


@pytest.mark.parametrize("keyword", ["flash flood", '"flash flood"'])
def test_a_phrase_stands_in_one_place_and_separate_words_in_any(keyword: str) -> None:
    post = bare("a flash", entities=entities(hashtags=("flood",)))
    assert (found(keyword, post) is None) is keyword.startswith('"')


def test_the_place_of_a_phrase_is_where_it_stands_whole() -> None:
    tagged = bare("a flash flood", entities=entities(hashtags=("flood",)), quoted_status={"text": "Flash, flood"})
    assert found('"flash flood"', tagged) == "text,quoted_text"
    assert found("flash flood", tagged) == "text,hashtag,quoted_text"
    assert found('"flash flood" #flood', tagged) == "text,hashtag,quoted_text"
