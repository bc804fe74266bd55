"""The dictionary with which frames of Jetstream can be compressed: trained on generated posts when first asked for."""

from __future__ import annotations

import time
from functools import lru_cache
from random import Random

import orjson
import zstandard

from app.generator import Mix
from app.generator.composing import Composer
from app.simulator import bluesky
from app.simulator.archive import Archive

ID = 1_096_042_026
_SIZE = 16 * 1024
_SAMPLES = 1000
_LEVEL = 3


@lru_cache(maxsize=1)
def _trained() -> zstandard.ZstdCompressionDict:
    composer = Composer((), (), Random(ID), Mix())  # noqa: S311 -- nothing is secret
    archive, sequence = Archive(1), iter(range(1, 2 * _SAMPLES * 4)).__next__
    drafts = [composer.post(int(time.time() * 1000), sequence) for _ in range(_SAMPLES)]
    samples: list[bytes | bytearray | memoryview[int]] = [
        archive.add(orjson.loads(bluesky.line(draft))).v2() for draft in drafts
    ]
    return zstandard.train_dictionary(_SIZE, samples, dict_id=ID)


@lru_cache(maxsize=1)
def _compressor() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=_LEVEL, dict_data=_trained())


def data() -> bytes:
    """The dictionary as clients download it."""
    return _trained().as_bytes()


def compress(line: bytes) -> bytes:
    """One frame of zstd, which names the dictionary."""
    return _compressor().compress(line)
