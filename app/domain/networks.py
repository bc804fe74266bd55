"""Networks of posts: who mentions whom, who retweets whom, which hashtags occur together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, TypeAlias

from msgspec import Struct

from app.domain.exports import Network

COLUMNS = ("t_created_at", "t_is_a_retweet", "t_text", "hashtags", "u_id", "u_screen_name", "um_id", "um_screen_name")
DIRECTED = {"mentions": True, "retweets": True, "hashtags": False}
_RETWEET = re.compile(r"RT @(\w+):")
_BETWEEN = ", "  # of the three um_ columns

Edge: TypeAlias = tuple[str, str]


class Seen(Struct):
    """A node or an edge. Times are milliseconds since 1970; 0 where no post tells one."""

    label: str = ""
    posts: int = 0
    first: int = 0
    last: int = 0

    def add(self, posts: int, at: int, label: str = "") -> None:
        """One more post; the newest label holds."""
        self.posts += posts
        if at:
            self.first = min(self.first or at, at)
        if label and (at >= self.last or not self.label):
            self.label = label
        self.last = max(self.last, at)


class Part:
    """What some posts add to a network. The posts of a node are those that it made, or of a hashtag those that have it.

    The weight of an edge is the number of posts.
    """

    def __init__(self, network: Network) -> None:
        self._links = {"mentions": _mentions, "retweets": _retweets, "hashtags": _hashtags}[network]
        self.nodes: dict[str, Seen] = {}
        self.edges: dict[Edge, Seen] = {}

    def add(self, row: Sequence[Any], at: int) -> None:
        """Take a post: values of COLUMNS, and when it was made."""
        made, edges = self._links(row)
        for node, label, posts in made:
            self.nodes.setdefault(node, Seen()).add(posts, at, label)
        for edge in edges:
            self.edges.setdefault(edge, Seen()).add(1, at)


_Links: TypeAlias = tuple[list[tuple[str, str, int]], Iterable[Edge]]


def _mentions(row: Sequence[Any]) -> _Links:
    author = _author(row)
    if author is None:
        return [], ()
    others = dict(_mentioned(row))
    nodes = [(*author, 1), *((node, label, 0) for node, label in others.items())]
    return nodes, [(author[0], other) for other in others]


def _retweets(row: Sequence[Any]) -> _Links:
    author = _author(row)
    if author is None:
        return [], ()
    found = _RETWEET.match(row[2] or "") if row[1] else None
    if found is None:
        return [(*author, 1)], ()
    name = found[1]
    by_name = {label.casefold(): (node, label) for node, label in _mentioned(row)}
    node, label = by_name.get(name.casefold(), (_named(name), name))
    return [(*author, 1), (node, label, 0)], [(author[0], node)]


def _hashtags(row: Sequence[Any]) -> _Links:
    tags = {tag.casefold(): tag for tag in reversed(row[3] or ()) if tag}
    return [(folded, tag, 1) for folded, tag in tags.items()], combinations(sorted(tags), 2)


def _author(row: Sequence[Any]) -> tuple[str, str] | None:
    account, name = row[4], row[5]
    if not account and not name:
        return None
    return account or _named(name), name or account


def _mentioned(row: Sequence[Any]) -> Iterator[tuple[str, str]]:
    ids = (row[6] or "").split(_BETWEEN)
    names = (row[7] or "").split(_BETWEEN)
    width = max(len(ids), len(names))
    for account, name in zip([*ids, *[""] * (width - len(ids))], [*names, *[""] * (width - len(names))], strict=True):
        if account or name:
            yield account or _named(name), name or account


def _named(name: str) -> str:
    """Id of an account of which only the screen name is known."""
    return f"@{name.casefold()}"
