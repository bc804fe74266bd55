"""All analyses that take posts and nothing else, by the name that `starling analyze` knows them by.

Spark is imported only when one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Name -> module; the function's name has underscores.
ANALYSES = {
    "word-count": "analysis.words",
    "posts-per-minute": "analysis.times",
    "posts-per-day": "analysis.times",
    "bursts": "analysis.times",
    "top-hashtags": "analysis.traits",
    "links": "analysis.traits",
    "languages": "analysis.traits",
    "keyword-yield": "analysis.traits",
    "first-seen": "analysis.traits",
    "accounts-by-posts": "analysis.accounts",
    "accounts-by-followers": "analysis.accounts",
    "mention-network": "analysis.networks",
    "retweet-network": "analysis.networks",
    "hashtag-network": "analysis.networks",
    "geo-points": "analysis.places",
}
TRAITS = ("hashtag", "link", "keyword", "language", "account")  # of first-seen


def analysis(name: str) -> Callable[..., DataFrame]:
    """The function of that name."""
    found: Any = getattr(import_module(ANALYSES[name]), name.replace("-", "_"))
    return found  # type: ignore[no-any-return]
