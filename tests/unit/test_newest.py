"""The newest posts in short, and what of them is new to somebody who looks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from faust.types import TP

from app.domain.addresses import post_address, web_address
from app.domain.newest import MOST_TEXT, Looker, Newest, NewPost, newest, of_event, shortened
from app.domain.records import Line
from app.domain.rows import normalized, row_of
from app.domain.trends import Lane
from tables.newest import NewestPosts
from tests.builders import post, status
from tests.support.events import active


def made(number: int) -> NewPost:
    return NewPost(id=str(number), text=f"post {number}", received_at=number, source="x", origin="live")


def part(total: int, *numbers: int, born: int = 1) -> Newest:
    return Newest(born, total, tuple(made(number) for number in numbers))


def ids(posts: list[NewPost]) -> list[int]:
    return [int(one.id) for one in posts]


def test_the_first_look_shows_the_last_few_of_all_partitions_in_their_order() -> None:
    found = Looker().look({0: part(7, 1, 4), 1: part(9, 2, 3)})
    assert ids(found.posts) == [1, 2, 3, 4]
    assert found.passed == 0


def test_later_looks_show_what_is_new_and_how_many_were_passed_over() -> None:
    looker = Looker()
    looker.look({0: part(7, 1, 4)})
    assert looker.look({0: part(7, 1, 4)}).posts == []
    assert ids(looker.look({0: part(8, 1, 4, 5)}).posts) == [5]
    found = looker.look({0: part(20, 18, 19), 2: part(1, 17)})
    assert (ids(found.posts), found.passed) == ([17, 18, 19], 10)


def test_who_has_seen_that_there_is_nothing_misses_nothing_of_what_comes() -> None:
    looker = Looker()
    assert looker.look({}).posts == []
    found = looker.look({0: part(30, 1, 4)})
    assert (ids(found.posts), found.passed) == ([1, 4], 28)


def test_of_a_flood_only_the_newest_are_shown() -> None:
    looker = Looker()
    looker.look({0: part(1, 1)})
    found = looker.look({0: part(9, 2, 3, 4, 5)}, most=2)
    assert (ids(found.posts), found.passed) == ([4, 5], 6)


def test_a_look_goes_on_from_the_mark_of_an_earlier_one() -> None:
    mark = Looker().look({0: part(7, 1, 4), 1: part(2, 3)}).mark
    assert ids(Looker(mark).look({0: part(8, 4, 5), 1: part(2, 3)}).posts) == [5]


@pytest.mark.parametrize("mark", ["", "nonsense", "1~0:x", "1~0", "²~0:1", "1~" + "9" * 40 + ":1"])
def test_a_mark_that_is_not_understood_is_a_first_look(mark: str) -> None:
    assert ids(Looker(mark).look({0: part(7, 1, 4)}).posts) == [1, 4]


def test_a_new_event_of_the_same_code_is_looked_at_anew() -> None:
    looker = Looker()
    looker.look({0: part(7, 1, 4)})
    assert ids(looker.look({0: part(7, 1, 4), 1: part(1, 9, born=5)}).posts) == [9]


def test_a_worker_that_has_counted_less_than_was_told_shows_nothing_twice() -> None:
    looker = Looker()
    looker.look({0: part(7, 1, 4)})
    assert looker.look({0: part(6, 1)}).posts == []
    assert ids(looker.look({0: part(8, 5)}).posts) == [5]


def test_of_the_view_only_the_event_is_taken() -> None:
    items = {"flood|0": part(1, 1), "flood|3": part(1, 2), "floods|1": part(1, 3)}
    assert of_event("flood", items, range(4)) == {0: items["flood|0"], 3: items["flood|3"]}


def row(body: dict[str, Any]) -> Any:
    line = Line(0, 5, 0, 0, 1_714_560_100_000, "x", "live", {"flood": "text", "rotwasser": "text"})
    return row_of(active("flood", "flood"), 1, line, normalized(post(body)))


def test_a_post_in_short() -> None:
    found = shortened(row(status("flood <b>here</b>", id_str="123")))
    assert (found.id, found.text, found.account) == ("123", "flood <b>here</b>", "mill_watch")
    assert (found.matched, found.source, found.origin) == (("flood", "rotwasser"), "x", "live")
    told = Newest(1, 1, (found,))
    assert newest(msgspec.json.encode(told)) == told


@pytest.mark.parametrize("sensitive", [True, False])
def test_what_its_author_calls_sensitive_is_said_to_be(sensitive: bool) -> None:
    assert shortened(row(status("flood", possibly_sensitive=sensitive))).sensitive is sensitive


def test_a_long_text_is_cut() -> None:
    assert len(shortened(row(status("flood " * 400))).text) == MOST_TEXT


@pytest.mark.parametrize(
    ("post_id", "address"),
    [
        ("1234", "https://x.com/i/web/status/1234"),
        (
            "at://did:plc:talheim/app.bsky.feed.post/3kabc",
            "https://bsky.app/profile/did:plc:talheim/post/3kabc",
        ),
        ("at://did:web:a.example/app.bsky.feed.post/3k", "https://bsky.app/profile/did:web:a.example/post/3k"),
        ("at://did:plc:x/app.bsky.feed.like/3kabc", None),
        ("javascript:alert(1)", None),
        ("١٢", None),
        ("", None),
    ],
)
def test_where_a_post_can_be_seen(post_id: str, address: str | None) -> None:
    assert post_address(post_id) == address


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://a.example/x?y=1#z", True),
        ("HTTP://a.example", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ('https://a.example/"onclick', False),
        ("https://a b", False),
        (None, False),
    ],
)
def test_a_browser_is_sent_to_the_web_only(text: str | None, kept: bool) -> None:
    assert web_address(text) == (text if kept else None)


def told(entries: list[tuple[TP, str, bytes]]) -> list[tuple[str, int, list[int]]]:
    return [(key, (one := newest(value)).total, [int(post.id) for post in one.posts]) for _, key, value in entries]


async def test_what_a_source_takes_back_is_shown_no_more_whoever_told_it() -> None:
    """Who is new here does not know what the last one has told, but for how many posts: then nothing is shown."""
    app: Any = SimpleNamespace(on_partitions_revoked=SimpleNamespace(connect=lambda handler, weak: None))
    posts = NewestPosts(app, "classified")
    line = Line(0, 1, 0, 0, 5, "x", "live", {"flood": "text"})
    rows = [(2, row_of(active("flood"), 1, line, normalized(post(status(id=number))))) for number in (1, 2, 3)]
    lane = Lane("flood", rows[0][1].born, 2)
    assert told(posts.note(rows, {"flood|2": 3})) == [("flood|2", 3, [1, 2, 3])]
    assert posts.retract(lane, {"9"}, 4) == [], "none of those that are shown"
    assert told(posts.retract(lane, {"2", "9"}, 4)) == [("flood|2", 3, [1, 3])]
    await posts._forget(app, set())
    assert told(posts.retract(lane, {"1"}, 4)) == [("flood|2", 4, [])]
    assert posts.retract(lane, {"3"}, 4) == [], "nothing is shown by now"
    assert told(posts.note(rows[:1], {"flood|2": 5})) == [("flood|2", 5, [1])]
