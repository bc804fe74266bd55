"""Which posts belong to an event, and where its keywords were found, in tables."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.passages import SEPARATOR
from app.domain.posts import Json, Post
from tests import builders
from tests.builders import (
    BLUESKY_DID,
    bluesky_address,
    bluesky_post,
    bluesky_quote,
    entities,
    extended_status,
    facet,
    jetstream,
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

NON_JOINER, JOINER, EMOJI = "\u200c", "\u200d", "\ufe0f"


def event(code: str = "flood", **definition: Any) -> Event:
    return Event(code=code, name=code, **{"status": "active"} | definition)


def found(keyword: str, post: Post) -> str | None:
    """Places in which a keyword was found, or None."""
    matches = Matcher([event(keywords=(keyword,))]).match(post)
    return next(iter(matches[0].matched.values())) if matches else None


def in_text(keyword: str, text: str) -> bool:
    return found(keyword, bare(text)) is not None


def bare(text: str, **more: Any) -> Post:
    """A post of a text alone."""
    body: Json = {"id_str": "1", "text": text} | more
    return Post("1", "v1", body, {}, b"")


WHOLE_WORDS = [
    ("fire", "fire", True),
    ("fire", "Fire!", True),
    ("fire", "(fire)", True),
    ("fire", "wild-fire", True),
    ("fire", "fire's", True),
    ("fire", "FIRE", True),
    ("FIRE", "fire", True),
    ("fire", "firefox", False),
    ("fire", "ceasefire", False),
    ("fire", "fire_watch", False),
    ("fire", "fire2", False),
    ("fire", "firé", False),
    ("fire", "fire\u0301", False),
    ("fire", "firefox fire", True),
    ("fire", "", False),
    ("it's", "it’s", True),
    ("at&t", "AT&amp;T", True),
    ("2012", "in 2012.", True),
    ("2012", "20123", False),
    ("c++", "C++ and", True),
    ("c++", "C# and", False),
    ("hello.", "hello. you", True),
    ("hello.", "hello you", False),
    ("example.com/path", "see https://example.com/path?x", True),
]
ACCENTS = [
    ("café", "CAFÉ", True),
    ("café", "cafe\u0301", True),
    ("cafe\u0301", "café", True),
    ("cafe", "café", False),
    ("café", "cafe", False),
    ("straße", "STRASSE", True),
    ("strasse", "Straße", True),
    ("οδος", "ΟΔΟΣ", True),
    ("istanbul", "İSTANBUL", True),
    ("İstanbul", "ISTANBUL", True),
    ("ırmak", "IRMAK", False),
    ("flood", "ﬂood", True),
]
SEVERAL_WORDS = [
    ("flash flood", "flash flood", True),
    ("flash flood", "a flood in a flash", True),
    ("flash flood", "flash floods", False),
    ("flash flood", "flood", False),
    ("flash flood", "flashflood", False),
    ("a b c d", "d c b a", True),
    ("a b c d", "d c b", False),
    ('"flash flood"', "a FLASH flood.", True),
    ('"flash flood"', "flash-flood", True),
    ('"flash flood"', "flash... #flood", True),
    ('"flash flood"', "flood flash", False),
    ('"flash flood"', "flash big flood", False),
    ('"flash flood"', "flash floods", False),
    ('"flash flood"', "flashflood", False),
    ('"flash flood"', "flash big flood, flash flood", True),
    ('"flash flood"', f"flash{NON_JOINER} flood", True),
    ('"flood flood"', "flood", False),
    ('"flood flood"', "flood flood", True),
    ('"a b a b"', "a b a b", True),
    ('"a b a b"', "a b b a b", False),
    ('"flash flood" kansas', "kansas: flash flood", True),
    ('"flash flood" kansas', "kansas: flood flash", False),
    ('"don\'t panic"', "Don’t panic", True),
    ('"flash flood" "flood watch"', "flash flood watch", True),
]
MARKS = [
    ("flood", "#flood", True),
    ("flood", "@flood", True),
    ("flood", "$flood", True),
    ("#flood", "#Flood!", True),
    ("#flood", "＃flood", True),
    ("#flood", "flood", False),
    ("#flood", "#floodwatch", False),
    ("#flood", "#flood_watch", False),
    ("#flood", "x#flood", False),
    ("#flood", "@flood", False),
    ("@redcross", "thanks @RedCross", True),
    ("@redcross", "redcross", False),
    ("@redcross", "@redcross_uk", False),
    ("@redcross", "me@redcross", False),
    ("$tsla", "buy $TSLA", True),
    ("$tsla", "tsla", False),
    ("#洪水", "#洪水 だ", True),
    ("#洪水", "#洪水警報", False),
    ("#洪水", "は#洪水", False),
    ("#洪水", "#洪水・警報", True),
    ('"#flood"', "flood", False),
]
SCRIPTS = [
    ("洪水", "東京で洪水が発生", True),
    ("洪水", "洪", False),
    ("地震", "きのう地震がありました", True),
    ("น้ำท่วม", "ข่าวน้ำท่วมวันนี้", True),
    ("น้ำท่วม", "นำท่วม", False),
    ("홍수", "홍수가 났다", True),
    ("홍수", "대홍수", True),
    ("한글", "한글", True),
    ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af", True),
    ("iphone", "新しいiPhoneです", True),
    ("iphone", "新しいiPhone5です", False),
    ("iphone発売", "新型iPhone発売中", True),
    ("5g", "東京5G開始", True),
    ("बाढ़", "बिहार में बाढ़ आई", True),
    ("बाढ", "बाढ़ आई", False),
    ("पान", "पानी", False),
    ("पानी", "पानी।", True),
    ("فيضان", "هذا فيضان كبير", True),
    ("فيضان", "فيضانات", False),
    ("فيضان", "فيضانٌ", False),
    ("سیل", "سیل‌زده", False),
    ("سیل", f"سیل{NON_JOINER} آمد", True),
    ("می\u200cخواهم", "من می\u200cخواهم", True),
    ("می", "می\u200cخواهم", False),
    ("క్ష", "క్ష", True),
    ("наводнение", "НАВОДНЕНИЕ!", True),
    ("πλημμύρα", "ΠΛΗΜΜΎΡΑ", True),
    ('"東京 大雨"', "東京 大雨", True),
    ('"東京 大雨"', "東京大雨", False),
    ('"東京 大雨"', "東京都 大雨", False),
]
EMOJIS = [
    ("🔥", "hot🔥hot", True),
    ("🔥", "hot", False),
    ("❤", f"I❤{EMOJI}rain", True),
    (f"❤{EMOJI}", "I ❤ rain", True),
    ("👩", f"👩{JOINER}🚒", True),
    (f"👩{JOINER}🚒", f"the 👩{JOINER}🚒!", True),
    (f"👩{JOINER}🚒", "👩🚒", False),
    ("👍", "👍🏽", True),
    ("👍🏽", "👍🏽", True),
    ("🇨🇭", "in 🇨🇭.", True),
    ("rain", f"☔{EMOJI}rain☔{EMOJI}", True),
    ("flood", f"1{EMOJI}\u20e3flood", True),
    ("flood", f"🔥{JOINER}flood{JOINER}🔥", True),
    ("flood", "葛\U000e0100flood", True),
]


@pytest.mark.parametrize(
    ("keyword", "text", "matches"), WHOLE_WORDS + ACCENTS + SEVERAL_WORDS + MARKS + SCRIPTS + EMOJIS
)
def test_a_keyword_in_a_text(keyword: str, text: str, matches: bool) -> None:
    assert in_text(keyword, text) is matches


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


def test_each_event_gets_its_own_keywords_as_it_has_typed_them() -> None:
    events = [
        event("a", keywords=("Flood", "storm flood")),
        event("b", keywords=("FLOOD", "hail")),
        event("c", keywords=("hail",)),
    ]
    matches = {match.event.code: match.matched for match in Matcher(events).match(bare("flood and storm"))}
    assert matches == {"a": {"Flood": "text", "storm flood": "text"}, "b": {"FLOOD": "text"}}


KEYWORD, ACCOUNT, BOX = {"keywords": ("flood",)}, {"accounts": ("ann",)}, {"boxes": ((8.0, 47.0, 9.0, 48.0),)}


@pytest.mark.parametrize(("keyword", "account", "box"), list(product([False, True], repeat=3)))
@pytest.mark.parametrize(("languages", "spoken"), list(product([(), ("de",), ("de", "en")], ["de", "en", "und", None])))
def test_keywords_or_accounts_or_boxes_select_and_languages_restrict(
    keyword: bool, account: bool, box: bool, languages: tuple[str, ...], spoken: str | None
) -> None:
    body = status(
        "a flood" if keyword else "a fire",
        user=user("Ann" if account else "bob"),
        coordinates={"type": "Point", "coordinates": [8.5 if box else 7.5, 47.5]},
        lang=spoken,
    )
    matches = Matcher([event(**KEYWORD, **ACCOUNT, **BOX, languages=languages)]).match(builders.post(body))
    selected = {"flood": keyword, "from:ann": account, "box:8,47,9,48": box}
    if any(selected.values()) and (not languages or spoken in languages):
        (match,) = matches
        assert set(match.matched) == {selector for selector, selects in selected.items() if selects}
    else:
        assert matches == []


@pytest.mark.parametrize(
    ("selectors", "given", "selects"),
    [
        (selectors, given, bool(set(selectors) & set(given)))
        for selectors in ([], ["k"], ["a"], ["b"], ["k", "a"], ["k", "b"], ["a", "b"], ["k", "a", "b"])
        for given in ([], ["k"], ["a"], ["b"], ["k", "a", "b"])
    ],
)
def test_only_the_selectors_that_an_event_has_select(selectors: list[str], given: list[str], selects: bool) -> None:
    kinds = {"k": KEYWORD, "a": ACCOUNT, "b": BOX}
    definition = {name: value for kind in selectors for name, value in kinds[kind].items()}
    body = status(
        "flood" if "k" in given else "fire",
        user=user("ann" if "a" in given else "bob"),
        coordinates={"coordinates": [8.5, 47.5 if "b" in given else 1]},
    )
    assert bool(Matcher([event(**definition)]).match(builders.post(body))) is selects


@pytest.mark.parametrize(
    ("languages", "spoken", "matches"),
    [
        (("zh",), "zh-TW", True),
        (("zh-tw",), "zh-TW", True),
        (("zh-tw",), "zh", False),
        (("pt",), "PT", True),
        (("en",), 5, False),
        (("en",), "", False),
    ],
)
def test_a_language_holds_its_regions(languages: tuple[str, ...], spoken: object, matches: bool) -> None:
    post = bare("flood", lang=spoken)
    assert bool(Matcher([event(keywords=("flood",), languages=languages)]).match(post)) is matches


def test_a_restricted_event_leaves_the_others_alone() -> None:
    events = [event("a", keywords=("flood",), languages=("de",)), event("b", keywords=("flood",))]
    assert [match.event.code for match in Matcher(events).match(bare("flood", lang="en"))] == ["b"]


@pytest.mark.parametrize("state", ["draft", "scheduled", "paused", "stopped", "archived", "deleted", "purging"])
def test_only_active_events_collect(state: str) -> None:
    idle = event(**KEYWORD, **ACCOUNT, **BOX, status=state)
    body = status("flood", user=user("ann"), coordinates={"coordinates": [8.5, 47.5]})
    matcher = Matcher([idle, event("b", keywords=("fire",))])
    assert matcher.match(builders.post(body)) == []
    assert [active.code for active in matcher.events] == ["b"]


def test_without_events_nothing_matches() -> None:
    assert Matcher([]).match(bare("flood")) == []


def test_an_event_with_an_impossible_keyword_does_not_stop_the_others() -> None:
    matcher = Matcher([event("a", keywords=("", "flood,storm", "flood")), event("b", keywords=(" ",))])
    assert [match.matched for match in matcher.match(bare("any flood, storm"))] == [{"flood": "text"}]
    assert list(matcher.unusable) == [("a", ""), ("a", "flood,storm"), ("b", " ")]


def test_a_box_is_named_exactly() -> None:
    box = (-122.419416, 37.0, -122.25, 37.774929)
    (match,) = Matcher([event(boxes=(box,))]).match(bare("x", coordinates={"coordinates": [-122.3, 37.5]}))
    assert match.matched == {"box:-122.419416,37,-122.25,37.774929": "place"}


# ---- Bluesky

SKY_TEXT = "Land unter 🌊 in Köln #Hochwasser @baker.example mill.example/lev…"
SKY = bluesky_post(
    SKY_TEXT,
    langs=["de", "zh-TW"],
    facets=[
        facet(SKY_TEXT, "#Hochwasser", tag="Hochwasser"),
        facet(SKY_TEXT, "@baker.example", did="did:plc:baker"),
        facet(SKY_TEXT, "mill.example/lev…", uri="https://mill.example/levels/rotwasser"),
    ],
    tags=["hidden"],
    embed={"external": {"uri": "https://shop.example/boats", "title": "Rafts", "description": "Canoes"}},
    reply={"parent": {"uri": bluesky_address("did:plc:asker", "3kaaaaaaaaa2a")}},
)


@pytest.mark.parametrize(
    ("keyword", "places"),
    [
        ("köln", "text"),
        ("#hochwasser", "text,hashtag"),
        ("hochwasser", "text,hashtag"),
        ("#hidden", "hashtag"),
        ("@baker", "text,mention"),
        ("rotwasser", "url"),
        ("boats", "url"),
        ("mill.example", "text,url"),
        ("rafts", None),
        ("canoes", None),
        ("plc", None),
        ("bsky", None),
    ],
)
def test_a_keyword_is_looked_for_in_what_a_bluesky_record_says(keyword: str, places: str | None) -> None:
    assert found(keyword, builders.post(jetstream(SKY))) == places


@pytest.mark.parametrize(
    ("account", "part"), [(BLUESKY_DID, "author"), ("did:plc:asker", "reply_to"), ("did:plc:baker", None)]
)
def test_an_account_on_bluesky_is_followed_by_its_did(account: str, part: str | None) -> None:
    matches = Matcher([event(accounts=(account,))]).match(builders.post(jetstream(SKY)))
    assert [match.matched for match in matches] == ([{f"from:{account}": part}] if part else [])


def test_an_account_on_bluesky_speaks_in_the_posts_that_quote_it() -> None:
    post = builders.post(
        jetstream(bluesky_post(embed=bluesky_quote(bluesky_address("did:plc:other", "3kaaaaaaaaa2a"))))
    )
    (match,) = Matcher([event(accounts=("did:plc:other",))]).match(post)
    assert match.matched == {"from:did:plc:other": "quoted"}


@pytest.mark.parametrize(("language", "matches"), [("de", True), ("zh", True), ("zh-tw", True), ("en", False)])
def test_any_language_that_the_author_names_will_do(language: str, matches: bool) -> None:
    one = event(keywords=("köln",), languages=(language,))
    assert bool(Matcher([one]).match(builders.post(jetstream(SKY)))) is matches


def test_a_bluesky_post_lies_in_no_box() -> None:
    whole = event(boxes=((-180.0, -90.0, 180.0, 90.0),))
    assert Matcher([whole]).match(builders.post(jetstream(SKY | {"geo": {"coordinates": [1, 1]}}))) == []
