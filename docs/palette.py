"""A screenshot with at most 256 colours: half as large, and hardly to be told from what it was."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from functools import cache

_HEAD = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 6: 4}  # by colour type; alpha is left out
Colour = tuple[int, ...]


def reduced(png: bytes) -> bytes:
    """A PNG of 8 bits a channel, as Chromium makes them, with a palette of its most frequent colours."""
    parts = list(_chunks(png))
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", parts[0][1])
    if depth != 8 or kind not in _CHANNELS or interlaced:
        raise ValueError("no screenshot of Chromium's")
    step = _CHANNELS[kind]
    rows = _rows(zlib.decompress(b"".join(data for name, data in parts if name == b"IDAT")), width * step, step)
    pixels = [[tuple(row[at : at + 3]) for at in range(0, len(row), step)] for row in rows]
    palette = [colour for colour, _ in Counter(one for row in pixels for one in row).most_common(256)]

    @cache
    def nearest(colour: Colour) -> int:
        return min(
            range(len(palette)), key=lambda at: sum((a - b) ** 2 for a, b in zip(palette[at], colour, strict=True))
        )

    lines = b"".join(b"\0" + bytes(map(nearest, row)) for row in pixels)
    made = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": b"".join(bytes(colour) for colour in palette),
        b"IDAT": zlib.compress(lines, 9),
        b"IEND": b"",
    }
    return _HEAD + b"".join(_chunk(name, data) for name, data in made.items())


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    at, found = len(_HEAD), []
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _rows(data: bytes, width: int, step: int) -> list[bytearray]:
    """Undo the filters of the rows."""
    before, rows = bytearray(width), []
    for start in range(0, len(data), width + 1):
        kind, row = data[start], bytearray(data[start + 1 : start + 1 + width])
        for at in range(width if kind else 0):
            left = row[at - step] if at >= step else 0
            corner = before[at - step] if at >= step else 0
            row[at] = (row[at] + _guess(kind, left, before[at], corner)) & 255
        rows.append(row)
        before = row
    return rows


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        return min((left, up, corner), key=lambda one: abs(left + up - corner - one))
    return (0, left, up, (left + up) // 2)[kind]
