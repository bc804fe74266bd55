"""What is stored of a classified post: put together here from parts that are known by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest

from app.domain import rows
from app.domain.columns import COLUMNS, OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.events import Change, Event
from app.domain.partitioning import HOUR, BucketRule
from app.domain.posts import Malformed, Post
from app.domain.records import Line
from app.domain.rows import Row, Rows
from tests import builders

RULES = (BucketRule(since=0, seconds=HOUR, shards=1),)
POST_ID = builders.snowflake(builders.POSTED_MS, 7)
LINE = Line(3, 41, 2, 1, 1_700_000_000_123, "bluesky", "rematch", {"flood": "text,hashtag"})


def event(code: str = "flood", **fields: Any) -> Event:
    born = Change(version=4, at=datetime(2026, 5, 1, tzinfo=UTC), who="ann", action="create")
    made = {"name": code, "keywords": ("flood", '"high water"'), "status": "active", "version": 6, "buckets": RULES}
    return Event(code=code, history=(born,), **{**made, **fields})


def raw(text: str = "a flood", **fields: Any) -> bytes:
    return builders.line(builders.status(text, id=POST_ID, **fields))


def named(row: Row) -> dict[str, Any]:
    return dict(zip(COLUMNS, row.values, strict=True))


def test_a_row_has_the_events_columns_the_posts_and_those_of_its_way() -> None:
    body = raw(lang="pt")
    row = Rows().row(event(), 5, LINE, body)
    stored = named(row)
    namespace = uuid5(NAMESPACE_URL, "https://starling/event/post")
    assert UUID(bytes=stored["id"]) == uuid5(namespace, f"flood/{POST_ID}")
    assert stored["event_name"] == "flood"
    assert stored["event_kw"] == 'flood, "high water"'
    assert {name: stored[name] for name in POST_COLUMNS | OUR_POST_COLUMNS} == builders.columns(body)
    assert stored["bucket"] == row.bucket
    hour = datetime.fromtimestamp(builders.POSTED_MS // 1000, UTC).replace(minute=0, second=0)
    assert (row.bucket, row.bucket_seconds) == (f"{hour:%Y-%m-%dT%H:%M:%S}.0", HOUR)
    assert (stored["matched"], stored["event_version"], stored["origin"]) == (LINE.matched, 5, "rematch")
    assert (stored["source"], stored["received_at"]) == ("bluesky", LINE.received_at)
    assert (row.code, row.born, row.post.raw, row.post.id) == ("flood", 4, body, str(POST_ID))


def test_what_is_counted_of_a_row() -> None:
    tags = builders.entities(hashtags=("Flood", "help"))
    row = Rows().row(event(), 5, LINE, raw(lang="pt", user=builders.user("ada"), entities=tags))
    seen = row.seen()
    assert (seen.raw_partition, seen.position) == (3, (41, 2, 1))
    assert (list(seen.keywords), seen.language, list(seen.hashtags)) == (["flood"], "pt", ["Flood", "help"])
    assert (seen.account, seen.source) == ("ada", "bluesky")
    assert seen.created_ms == named(row)["t_created_at"]


@pytest.fixture
def normalizations(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    done: list[str] = []
    normalize = rows.normalize

    def counting(post: Post) -> Any:
        done.append(post.id)
        return normalize(post)

    monkeypatch.setattr(rows, "normalize", counting)
    yield done


def test_a_post_of_several_events_is_normalized_once(normalizations: list[str]) -> None:
    made = Rows()
    first, second = (made.row(event(code), 5, LINE, raw()) for code in ("flood", "storm"))
    assert normalizations == [str(POST_ID)]
    assert first.post is second.post
    assert (named(first)["event_name"], named(second)["event_name"]) == ("flood", "storm")
    assert named(first)["id"] != named(second)["id"]


def test_other_bytes_that_claim_the_same_place_are_another_post(normalizations: list[str]) -> None:
    """Only the classifier writes places; should something else, no post may get the columns of another."""
    made = Rows()
    first, second = made.row(event(), 5, LINE, raw("a flood")), made.row(event(), 5, LINE, raw("no flood"))
    assert (named(first)["t_text"], named(second)["t_text"]) == ("a flood", "no flood")
    assert len(normalizations) == 2


@pytest.mark.parametrize(
    "line", [b'{"limit": {"track": 1}}', b"[]", b"nothing", builders.line([builders.status()] * 2)]
)
def test_what_is_not_one_post_is_malformed(line: bytes) -> None:
    with pytest.raises(Malformed):
        Rows().row(event(), 5, LINE, line)
