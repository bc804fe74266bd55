"""Every shared real post goes through reading and normalizing. Nothing of a post is shown, not even on failure."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.normalize import normalize
from app.domain.posts import Control, read

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "tweets"
FILES = sorted(SHARED.glob("*.jsonl.gz"))
CONTROL_FILES = ("control-messages.jsonl.gz", "limit-notices.jsonl.gz")

pytestmark = pytest.mark.skipif(not FILES, reason="the shared real posts (../shared/tweets) are not on this machine")


def lines(name: str) -> Iterator[tuple[int, bytes]]:
    with gzip.open(SHARED / name) as file:
        yield from enumerate(file, 1)


def ids(raw: bytes) -> list[str]:
    """Ids of a line's posts, read without the code under test."""
    body = orjson.loads(raw)
    data = body.get("data", body)
    return [item.get("id_str") or item["id"] for item in (data if isinstance(data, list) else [data])]


def fault(raw: bytes) -> str | None:
    """What is wrong with the reading of a line, in words that tell nothing of it."""
    try:
        found = read(raw)
        if isinstance(found, Control):
            return None if found.kind in ("delete", "limit") else f"control {found.kind}"
        if [post.id for post in found] != ids(raw):
            return "other ids"
        for post in found:
            if read(post.raw) != [post]:
                return "another post in its own payload"
            row = dict(zip([*POST_COLUMNS, *OUR_POST_COLUMNS], normalize(post), strict=True))
            if row["t_id"] != post.id or any(row[name] is None for name in ("t_text", "t_is_a_retweet")):
                return "incomplete"
    except Exception as error:
        return type(error).__name__
    return None


# What is asserted on is held in a variable first: pytest shows the arguments of a call inside an assertion.
@pytest.mark.parametrize("name", [path.name for path in FILES if path.name not in CONTROL_FILES])
def test_each_post_keeps_its_id_and_gets_all_its_columns(name: str) -> None:
    faults = [(number, wrong) for number, raw in lines(name) if (wrong := fault(raw))]
    assert not faults


@pytest.mark.parametrize("name", CONTROL_FILES)
def test_each_line_of_a_control_file_is_a_control_message(name: str) -> None:
    others = [number for number, raw in lines(name) if not isinstance(read(raw), Control)]
    assert not others
