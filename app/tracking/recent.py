"""Which posts came lately, so that one that comes again is dropped."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

MOST = 200_000  # in each of two halves: at 57 posts a second an hour, at 5,700 half a minute


class Recent:
    """Remembers at least the last MOST keys, at most twice as many, by their hashes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._new: set[int] = set()
        self._old: set[int] = set()

    def __contains__(self, key: Hashable) -> bool:
        """Whether the key is remembered."""
        mark = hash(key)
        return mark in self._new or mark in self._old

    def repeats(self, key: Hashable) -> bool:
        """Whether the key was there; it is remembered now."""
        mark = hash(key)
        if mark in self._new or mark in self._old:
            return True
        self._new.add(mark)
        if len(self._new) >= self._most:
            self._old, self._new = self._new, set()
        return False

    def marks(self) -> Iterator[int]:
        """The hashes of all keys that are remembered."""
        yield from self._old
        yield from self._new

    def add(self, marks: Iterable[int]) -> None:
        """Remember keys by their hashes."""
        self._new.update(marks)
