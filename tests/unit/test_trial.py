"""What a preview says of posts that are known: counted here by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Definition
from app.domain.noise import Hint
from app.domain.posts import Json
from app.domain.preview import Preview, Stop, event_to_try, in_words
from app.domain.records import RawRecord
from app.domain.sampling import Window, rounds
from app.domain.trial import MOST_SAMPLES, Trial
from tests import builders

HOUR = 3_600_000
START = 1_800_000_000_000 // HOUR * HOUR


def record(
    offset: int, *bodies: Json | bytes, at: int = START, source: str = "bluesky", origin: str = "live"
) -> RawRecord:
    lines = [body if isinstance(body, bytes) else builders.line(body) for body in bodies]
    return RawRecord("raw", 0, offset, b"\n".join(lines), at, source, origin)


def status(number: int, text: str, **more: Any) -> Json:
    return builders.status(text, id=1000 + number, **more)


def tried(
    keywords: Iterable[str],
    records: list[RawRecord],
    *,
    kept: int | None = None,
    stopped_by: Stop = "",
    hours: int = 24,
    filtered: bool = False,
    **more: Any,
) -> Preview:
    event = event_to_try(Definition(keywords=tuple(keywords), **more))
    trial = Trial(event, START, START + hours * HOUR, bluesky_filtered=filtered)
    by_offset = {one.offset: one for one in records}
    end = max(by_offset, default=-1) + 1
    for windows in rounds({0: (0, end)}):
        for window in windows:
            trial.take(window, [by_offset[at] for at in range(window.start, window.stop) if at in by_offset])
    return trial.result(end if kept is None else kept, stopped_by)


def kinds(preview: Preview) -> set[tuple[str, str]]:
    return {(hint.kind, hint.keyword) for hint in preview.hints}


def test_a_limit_that_the_last_post_meets_has_left_nothing_out() -> None:
    records = [record(n, status(n, "a flood"), at=START + n * HOUR) for n in range(4)]
    whole, part = (tried(["flood"], records, kept=kept, stopped_by="posts") for kept in (4, 5))
    assert (whole.basis.stopped_by, part.basis.stopped_by) == ("", "posts")
    assert not whole.cannot_tell
    assert "rare keywords" in part.cannot_tell[-1]
    assert whole.per_hour == whole.per_hour_low == whole.per_hour_high


def test_posts_are_counted_by_keyword_and_by_the_hour() -> None:
    records = [
        record(
            n,
            status(2 * n, "a flood"),
            status(2 * n + 1, "flood and fire" if n % 3 == 0 else "the sun"),
            at=START + n * HOUR,
        )
        for n in range(9)
    ]
    found = tried(["flood", "fire", "quake"], records)
    assert (found.basis.posts, found.hits) == (18, 12)
    assert found.per_hour == found.per_hour_low == found.per_hour_high == 12 / 8
    assert [(one.selector, one.hits, one.alone) for one in found.keywords] == [
        ("flood", 12, 9),
        ("fire", 3, 0),
        ("quake", 0, 0),
    ]
    assert found.keywords[1].share == 0.25
    assert found.keywords[1].per_hour == pytest.approx(3 / 8)
    assert sum(one.hits for one in found.bins) == 12
    assert sum(one.posts for one in found.bins) == 18
    assert (found.basis.since, found.basis.until) == (START, START + 8 * HOUR)
    assert not found.cannot_tell
    assert ("nothing", "quake") in kinds(found)


def test_a_sample_is_counted_up_and_says_how_sure_it_is() -> None:
    trial = Trial(event_to_try(Definition(keywords=("flood",))), START, START + HOUR, bluesky_filtered=False)
    for stretch in range(10):  # of each stretch of 50 records, 5 are read
        trial.take(
            Window(0, stretch, 50, 50 * stretch, 50 * stretch + 5),
            [
                record(
                    50 * stretch + n,
                    status(50 * stretch + n, "flood" if n == 0 else "sun"),
                    at=START + stretch * HOUR // 9,
                )
                for n in range(5)
            ],
        )
    found = trial.result(500, "posts")
    assert (found.hits, found.basis.posts, found.basis.posts_about, found.basis.records) == (10, 50, 500, 50)
    assert found.per_hour == pytest.approx(100)
    assert found.per_hour_low is not None and found.per_hour_high is not None
    assert 40 < found.per_hour_low < 60
    assert 150 < found.per_hour_high < 200
    assert "50 of about 500 posts were read" in found.cannot_tell[-1]


@pytest.mark.parametrize("origin", ["replay", "import"])
def test_what_the_posts_cannot_tell_is_told(origin: str) -> None:
    records = [
        record(0, status(0, "flood"), source="x"),
        record(1, status(1, "flood"), status(2, "sun"), source="test", origin=origin),
        record(2, status(3, "flood"), at=START + HOUR),
    ]
    whole = tried(["flood"], records)
    assert [text.split(":")[0] for text in whole.cannot_tell] == ["1 of 4 posts", "2 of 4 posts"]
    assert {(one.source, one.selection, one.posts, one.hits) for one in whole.basis.sources} == {
        ("x", "rules", 1, 1),
        ("test", "file", 2, 1),
        ("bluesky", "whole", 1, 1),
    }
    assert whole.per_hour == 2.0  # the post of the file came when somebody replayed it
    filtered = tried(["flood"], records, filtered=True)
    assert "STARLING_BLUESKY_FILTER" in " ".join(filtered.cannot_tell)


def test_of_nothing_nothing_is_said() -> None:
    empty = tried(["flood"], [])
    assert (empty.hits, empty.per_hour, empty.bins, empty.samples, empty.hints) == (0, None, (), (), ())
    assert empty.basis.since is None
    assert empty.cannot_tell == ("no posts are kept of that time: nothing is known of what the keywords would find",)
    assert list(in_words(empty)) == ["0 of 0 posts match"]
    one = tried(["flood"], [record(0, status(0, "flood"))])
    assert (one.hits, one.per_hour) == (1, None)


def test_a_post_counts_once_and_what_is_no_post_is_counted_apart() -> None:
    same = status(0, "flood")
    found = tried(["flood"], [record(0, same, b"{broken", b'{"delete": {}}'), record(1, same, b"")])
    assert (found.hits, found.basis.posts, found.basis.duplicates, found.basis.malformed) == (1, 1, 1, 1)


def test_a_status_does_not_matter_and_languages_restrict() -> None:
    records = [record(0, status(0, "flood", lang="de"), status(1, "flood", lang="en"))]
    found = tried(["flood"], records, languages=("de",))
    assert [(share.name, share.hits) for share in found.languages] == [("de", 1)]


def test_samples_show_every_keyword_and_no_text_twice() -> None:
    records = [record(n, status(n, f"flood number {n}"), at=START + n) for n in range(60)]
    records += [record(60, status(60, "a fire"), status(61, "RT @a: a fire"), status(62, "a quake"))]
    found = tried(["flood", "fire", "quake"], records)
    texts = ["".join(piece.text for piece in post.text) for post in found.samples]
    assert len(texts) == MOST_SAMPLES
    assert "a quake" in texts
    assert len([text for text in texts if text.endswith("a fire")]) == 1
    assert [post.received_at for post in found.samples] == sorted((p.received_at for p in found.samples), reverse=True)
    assert all(any(piece.marked for piece in post.text) for post in found.samples)


STORM = "sandy storm surge floods the harbour"
BEACH = "lovely sandy beach holiday"


def test_hits_that_share_nothing_with_the_others_look_unrelated() -> None:
    storm = [status(n, f"{STORM} {n}", lang="en") for n in range(40)]
    both = [status(100 + n, f"{STORM} frankenstorm {n}", lang="en") for n in range(20)]
    beach = [status(200 + n, f"{BEACH} {n}", lang="pt", user=builders.user("sunny_hotel")) for n in range(40)]
    rest = [status(300 + n, f"what a day it was today {n}") for n in range(200)]
    found = tried(["sandy", "frankenstorm"], [record(0, *storm, *both, *beach, *rest)])
    (hint,) = [hint for hint in found.hints if hint.kind == "unrelated"]
    assert hint.keyword == "sandy"
    assert hint.text.startswith("40% of what sandy matches looks unrelated")
    for told in ("beach (100%)", "holiday (100%)", "100% are in pt", "100% are by sunny_hotel"):
        assert told in hint.text
    assert "storm (" not in hint.text
    assert not [hint for hint in tried(["sandy"], [record(0, *storm, *both, *rest)]).hints if hint.kind == "unrelated"]


def by_many(text: str, **more: Any) -> list[Json]:
    """Twelve posts, each by an account of its own."""
    return [status(n, text.format(n), user=builders.user(f"u{n}"), **more) for n in range(12)]


@pytest.mark.parametrize(
    ("bodies", "kind"),
    [
        ([status(n, f"a flood {n}") for n in range(10)] + [status(50 + n, "sun") for n in range(40)], "everything"),
        ([status(n, f"a flood {n}", user=builders.user("one")) for n in range(12)], "account"),
        (by_many("RT @x{0}: a flood https://t.co/{0}"), "copies"),
        (by_many("flood {}")[4:] + by_many("a flood {}", lang="id")[:4], "language"),
    ],
)
def test_hints(bodies: list[Json], kind: str) -> None:
    assert kind in {hint.kind for hint in tried(["flood"], [record(0, *bodies)]).hints}
    few = tried(["flood"], [record(0, *bodies[:3])]).hints
    assert not few


def test_a_language_that_was_asked_for_is_no_hint() -> None:
    bodies = [status(n, f"flood {n}", lang="en" if n % 3 else "id") for n in range(12)]
    found = tried(["flood"], [record(0, *bodies)], languages=("en", "id"))
    assert "language" not in {hint.kind for hint in found.hints}


def test_posts_that_rules_have_chosen_do_not_call_a_keyword_broad() -> None:
    bodies = [status(n, f"a flood {n}") for n in range(50)]
    assert ("everything", "flood") not in kinds(tried(["flood"], [record(0, *bodies, source="x")]))


@pytest.mark.parametrize("keywords", [(), ("",), ('"open',), ("a,b",), ("flood", "FLOOD")])
def test_what_cannot_be_an_event_cannot_be_tried(keywords: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"keyword|event"):
        event_to_try(Definition(keywords=keywords))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a flood", "flood fire", "sun", "fire", "sol", "flood 地震"]),
            st.integers(0, 40),
            st.sampled_from(["x", "bluesky", "test"]),
            st.sampled_from(["live", "replay", "rematch"]),
        ),
        max_size=40,
    ),
    st.sampled_from([1, 24, 24 * 365]),
)
def test_the_parts_are_the_whole(posts: list[tuple[str, int, str, str]], hours: int) -> None:
    records = [
        record(n, status(n, text), at=START + hour * HOUR, source=source, origin=origin)
        for n, (text, hour, source, origin) in enumerate(posts)
    ]
    found = tried(["flood", "fire", "地震"], records, hours=hours)
    hits = sum(any(word in text for word in ("flood", "fire", "地震")) for text, *_ in posts)
    assert (found.basis.posts, found.hits, found.basis.posts_about) == (len(posts), hits, len(posts))
    assert sum(one.posts for one in found.basis.sources) == len(posts)
    assert sum(one.hits for one in found.basis.sources) == hits
    assert all(one.alone <= one.hits <= hits for one in found.keywords)
    assert len(found.samples) <= min(hits, MOST_SAMPLES)
    assert all(isinstance(hint, Hint) for hint in found.hints)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Preview) == found
