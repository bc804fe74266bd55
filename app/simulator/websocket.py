"""Frames of a WebSocket as bytes, so that a connection can break off in the middle of one. RFC 6455."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

TEXT, BINARY, _CLOSE, _PING = 0x81, 0x82, 0x88, 0x89
_NORMAL = struct.pack(">H", 1000)


def frame(opcode: int, payload: bytes) -> bytes:
    """One message of the server; it is not masked."""
    length = len(payload)
    if length < 126:
        return struct.pack(">BB", opcode, length) + payload
    if length < 1 << 16:
        return struct.pack(">BBH", opcode, 126, length) + payload
    return struct.pack(">BBQ", opcode, 127, length) + payload


PING = frame(_PING, b"")
FAREWELL = frame(_CLOSE, _NORMAL)


def pack(lines: Sequence[bytes]) -> bytes:
    """Lines as messages of text."""
    return b"".join([frame(TEXT, line) for line in lines])


def packer(compress: Callable[[bytes], bytes]) -> Callable[[Sequence[bytes]], bytes]:
    """Lines as binary messages, each compressed."""
    return lambda lines: b"".join([frame(BINARY, compress(line)) for line in lines])
