"""Rows of `tweet` as the driver gives them, made by Hypothesis."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from app.domain.columns import EXPORTED

EPOCH = datetime(1970, 1, 1)  # the driver gives naive UTC
# Cassandra holds UTF-8, thus no half of a surrogate pair.
TRICKY = ["", "=1+1", " -2", "@you", "'", "''=x", "\tx", "a,b", 'say "it"', "two\nlines", "\r", "1029384756102938475"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from([*TRICKY, "洪水", "سيل"])
MOMENTS = st.integers(0, 253_402_300_799_999).map(lambda ms: EPOCH + timedelta(milliseconds=ms))

_OF_KIND: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "int": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "timestamp": MOMENTS,
    "uuid": st.uuids(),
    "list<text>": st.lists(TEXTS, min_size=1, max_size=4),
    "set<text>": st.sets(TEXTS, min_size=1, max_size=4),
    "frozen<map<text, text>>": st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=3),
}


def rows(columns: tuple[str, ...] = tuple(EXPORTED)) -> st.SearchStrategy[tuple[Any, ...]]:
    """Whole rows; any value may be missing."""
    return st.tuples(*(st.none() | _OF_KIND[EXPORTED[name]] for name in columns))


def row(**given: Any) -> tuple[Any, ...]:
    """A row of all columns with these values, the others missing."""
    return tuple(given.get(name) for name in EXPORTED)


def uuid(number: int) -> UUID:
    """Some UUID."""
    return UUID(int=number)
