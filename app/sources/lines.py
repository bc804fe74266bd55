"""The lines of a long HTTP answer, as they come.

Split here: aiohttp's own reader of lines has a limit of length, and costs a call a line.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp

from app.sources.reaching import why
from app.sources.source import MOST_LINE_BYTES, Broken, Trouble

# The watchdog of the tracker replaces a dead socket sooner; this is for when there is none.
SILENT_SECONDS = 120.0
# 256 posts of 4 KB: fewer and larger pieces are cheaper.
READ_BYTES = 1024 * 1024


class Splitter:
    """Cuts pieces of a stream into lines, wherever the pieces begin and end."""

    def __init__(self, most: int = MOST_LINE_BYTES) -> None:
        self._most = most
        self._begun: list[bytes] = []  # a line without its end, in the pieces that it came in
        self._size = 0
        self._slow = 0  # bytes since a line has ended
        # Whether the last piece ended a line, or much has come since one ended. A line that comes byte by byte is no
        # sign of life: its end may never come.
        self.alive = True

    @property
    def begun(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._begun)

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that the piece completes, without blank ones (keep-alives).

        Raises Broken on a line without end, once all lines before it are handed over.
        """
        self._slow = 0 if b"\n" in piece or self._slow >= READ_BYTES else self._slow + len(piece)
        self.alive = self._slow == 0
        ended = piece.split(b"\n")
        if self._size + len(ended[0]) > self._most:
            raise Broken(Trouble.ENDED, f"a line of more than {self._most} bytes, which is no message")
        tail = ended.pop()
        lines: list[bytes] = []
        if ended:
            if self._begun:
                self._begun.append(ended[0])
                ended[0] = b"".join(self._begun)
                self._begun.clear()
                self._size = 0
            # A line ends with \r\n, and JSON holds no bare \r.
            lines = [line for whole in ended if (line := whole.rstrip(b"\r"))]
        if tail:
            self._begun.append(tail)
            self._size += len(tail)
        return lines


async def lines_of(answer: aiohttp.ClientResponse, name: str) -> AsyncGenerator[list[bytes], None]:
    """Lines as they come; an empty list is a sign of life. Ends by raising Broken. `name`: of the server."""
    splitter = Splitter()
    try:
        async for piece in answer.content.iter_any():
            lines = splitter.feed(piece)
            if splitter.alive:
                yield lines
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ended(name, error) from error
    raise ended(name)


def ended(name: str, error: BaseException | None = None) -> Broken:
    """How a stream that was heard has ended: by the error, or else by the server."""
    if error is None:
        return Broken(Trouble.ENDED, f"{name} closed the connection")
    if isinstance(error, TimeoutError):
        return Broken(Trouble.ENDED, f"{name} was silent for {SILENT_SECONDS:.0f} s")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Broken(Trouble.ENDED, f"{name} broke off in the middle of a message")
    return Broken(Trouble.ENDED, f"the connection to {name} broke: {why(error)}")
