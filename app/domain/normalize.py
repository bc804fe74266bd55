"""A post as the values of the `tweet` table's columns. `docs/columns.md` says where each comes from."""

from __future__ import annotations

from app.domain.fields import Value
from app.domain.normalize_bluesky import normalize_bluesky
from app.domain.normalize_v1 import normalize_v1
from app.domain.normalize_v2 import normalize_v2
from app.domain.posts import Post

__all__ = ["Value", "normalize"]


def normalize(post: Post) -> list[Value]:
    """Values of POST_COLUMNS, then of OUR_POST_COLUMNS, in exactly that order; None for what the source leaves out.

    Pure, and total for any post that `posts.read` yields: a field of an odd type costs its own column only.
    Timestamps are milliseconds since 1970 UTC, numbers fit 32 bits, lists are not empty.
    """
    if post.wire == "v1":
        return normalize_v1(post)
    return normalize_v2(post) if post.wire == "v2" else normalize_bluesky(post)
