"""Frames that are compressed with a dictionary that the server gives."""

from __future__ import annotations

import aiohttp
import zstandard
from yarl import URL

from app.sources.frames import up_to
from app.sources.source import MOST_LINE_BYTES


class Dictionary:
    """Undoes the compression of frames made with a dictionary, each one zstd frame."""

    def __init__(self, data: bytes) -> None:
        """Raises ValueError if it is no dictionary with an id."""
        dictionary = zstandard.ZstdCompressionDict(data)
        self.id = dictionary.dict_id()
        if not self.id:
            raise ValueError("a zstd dictionary without an id")
        try:
            self._decompressor = zstandard.ZstdDecompressor(dictionary)
        except zstandard.ZstdError as error:
            raise ValueError(f"no zstd dictionary: {error}") from error

    def decode(self, frame: bytes) -> bytes:
        """The frame as it was. Raises ValueError where it is not of this dictionary, or beyond MOST_LINE_BYTES."""
        try:
            # A size that the frame tells is believed by the decompressor, whatever the most is.
            if zstandard.frame_content_size(frame) <= MOST_LINE_BYTES:
                return self._decompressor.decompress(frame, max_output_size=MOST_LINE_BYTES)
        except zstandard.ZstdError as error:
            raise ValueError(f"a compressed frame cannot be read: {error}") from error
        raise ValueError(f"a compressed frame has more than {MOST_LINE_BYTES} bytes")


async def fetch(session: aiohttp.ClientSession, url: URL) -> Dictionary:
    """The server's current dictionary. Raises Refused, aiohttp.ClientError, TimeoutError or ValueError."""
    async with session.get(url, timeout=aiohttp.ClientTimeout(total=15)) as response:
        return Dictionary(await up_to(response, MOST_LINE_BYTES))
