"""An even sample of records by their offsets, so that whoever stops reading has seen all of the time, if thinly.

Each partition is cut into stretches of equal length. Of every stretch the first records are read, then as many again
and more, until all is read or enough; within a pass the stretches come in an order of which every beginning is even.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

STRETCHES = 32  # of a partition
_FIRST = 2  # records of a stretch that the first pass reads


class Window(Struct, frozen=True):
    """Records to read, [start, stop), of a stretch that is `length` records long."""

    partition: int
    stretch: int
    length: int
    start: int
    stop: int


def rounds(offsets: Mapping[int, tuple[int, int]]) -> Iterator[list[Window]]:
    """What to read of partitions (by number: first offset, end), at most one window each at a time, to all of it."""
    stretches = {
        (number, index): (start + (end - start) * index // STRETCHES, start + (end - start) * (index + 1) // STRETCHES)
        for number, (start, end) in offsets.items()
        for index in range(STRETCHES)
    }
    longest = max((stop - start for start, stop in stretches.values()), default=0)
    done, size = 0, _FIRST
    while done < longest:
        for index in _EVENLY:
            windows = []
            for number in offsets:
                start, stop = stretches[number, index]
                if start + done < stop:
                    windows.append(Window(number, index, stop - start, start + done, min(start + done + size, stop)))
            if windows:
                yield windows
        done, size = done + size, size * 2


def _reversed_bits(number: int) -> int:
    return int(f"{number:0{STRETCHES.bit_length() - 1}b}"[::-1], 2)


_EVENLY = sorted(range(STRETCHES), key=_reversed_bits)
