"""What a search asks of the index, its cursors, and the order of buckets."""

from __future__ import annotations

import pytest

from app.domain.posts import read
from app.domain.rows import normalized
from app.domain.searching import Bucket, Place, Search, check_tag, cursor, place_of, search, terms_of, windows
from tests import builders

MINUTE = 60_000


def terms(body: object, *matched: str) -> set[str]:
    (post,) = read(builders.line(body))  # type: ignore[arg-type, misc]
    return terms_of(post, normalized(post).values, matched, "x")  # type: ignore[arg-type]


def test_a_post_is_found_by_words_author_language_keyword_and_source() -> None:
    found = terms(builders.status("Water at the #Mill", lang="zh-TW"), "The Mill")
    assert {"water", "mill", "#mill", "source:x", "keyword:the mill", "lang:zh-tw", "lang:zh"} <= found
    assert {"from:mill_watch", f"from:{builders.user()['id_str']}"} <= found


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (search(), ()),
        (search("Flood"), ("flood",)),
        (search('"flash flood" river'), ("flash", "flood", "river")),
        (search("a bb ccc dddd eeeee"), ("eeeee", "dddd", "ccc", "bb")),
        (search(keyword="The Mill"), ("keyword:the mill",)),
        (search(account="@Mill_Watch", language="DE"), ("from:mill_watch", "lang:de")),
        (search("x", tags=["Eye  Witness", "b"]), ("tag:b", "tag:eye witness", "x")),
    ],
)
def test_the_terms_of_a_search(asked: Search, wanted: tuple[str, ...]) -> None:
    assert asked.terms == wanted


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"text": '"open'}, "quote"),
        ({"text": "x" * 300}, "characters"),
        ({"text": "a\ud800"}, "half of a character"),
        ({"tags": ["a,b"]}, "comma"),
        ({"tags": [" "]}, "without a character"),
        ({"tags": list("abcdef")}, "6 tags"),
        ({"since": 5, "until": 5}, "not after"),
        ({"account": "a\ud800"}, "account"),
        ({"language": "x" * 50}, "language"),
    ],
)
def test_what_cannot_be_searched_is_told(given: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        search(**given)  # type: ignore[arg-type]


def test_a_tag_has_one_form() -> None:
    assert check_tag("  Eye \n Witness ") == "eye witness"
    with pytest.raises(ValueError, match="seen"):
        check_tag("a\u200bb")


def test_a_cursor_leads_back_to_its_place_and_only_for_its_search() -> None:
    asked, place = search("flood"), Place(5, "at://did:plc:x/app.bsky.feed.post/k")
    assert place_of(cursor(asked, place), asked) == place
    with pytest.raises(ValueError, match="another search"):
        place_of(cursor(asked, place), search("other"))


@pytest.mark.parametrize("text", ["", "x", "é", "AAAA", "W10", "=" * 9, "WyJhIl0"])
def test_no_cursor_is_told_as_such(text: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        place_of(text, search())


BUCKETS = [Bucket(f"{n}.{shard}", n * MINUTE, 60) for n in (1, 3, 2) for shard in range(n)] + [Bucket("undated", 0, 0)]


@pytest.mark.parametrize(
    ("asked", "below", "names"),
    [
        (search(), None, ["3.0 3.1 3.2", "2.0 2.1", "1.0", "undated"]),
        (search(until=3 * MINUTE), None, ["2.0 2.1", "1.0", "undated"]),
        (search(since=3 * MINUTE), None, ["3.0 3.1 3.2"]),
        (search(since=1), None, ["3.0 3.1 3.2", "2.0 2.1", "1.0"]),
        (search(), Place(2 * MINUTE, "9"), ["2.0 2.1", "1.0", "undated"]),
        (search(), Place(0, "9"), ["undated"]),
    ],
)
def test_buckets_are_looked_at_from_the_newest_on(asked: Search, below: Place | None, names: list[str]) -> None:
    found = [" ".join(bucket.name for bucket in window) for window in windows(BUCKETS, asked, below)]
    assert found == names
