"""A job in a process of its own: reading and writing a million rows must not hold up a manager's event loop.

The manager writes the order on its standard input, and reads a line of JSON for each thing that it tells. It ends with
the manager: its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from app.exporting.job import Job, Told
from app.exporting.manifest import File

COMMAND = (sys.executable, "-m", "app.exporting")
_LIMIT = 1024 * 1024
KILL_SECONDS = 5.0


class Order(Struct, frozen=True):
    """What the process is to do."""

    export_id: str
    job: Job


class Far(Struct, frozen=True, tag="far"):
    """How far it is."""

    told: Told


class Done(Struct, frozen=True, tag="done"):
    """The file is written."""

    file: File


class Trouble(Struct, frozen=True, tag="trouble"):
    """It cannot go on: a server is *away*; it is *refused*, as it would be again; its process *died* without a word."""

    why: str
    kind: Literal["away", "refused", "died"]


Line: TypeAlias = Far | Done | Trouble
_decode: Callable[[bytes], Line] = msgspec.json.Decoder(Line).decode


class Child:
    """The process of a job."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def line(self) -> Line:
        """What it tells next; where it ends without a word, that. After `Done` and `Trouble` nothing comes."""
        assert self._process.stdout is not None  # noqa: S101 -- it is a pipe
        content = await self._process.stdout.readline()
        try:
            return _decode(content)
        except msgspec.DecodeError:
            status = await self._process.wait()
            return Trouble(f"the process that wrote it ended with status {status}", "died")

    async def end(self) -> None:
        """Kill it, if it has not ended."""
        with suppress(ProcessLookupError):
            self._process.kill()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), KILL_SECONDS)


async def begin(order: Order) -> Child:
    """Start the process of a job. Raises OSError."""
    process = await asyncio.create_subprocess_exec(*COMMAND, stdin=PIPE, stdout=PIPE, limit=_LIMIT)
    assert process.stdin is not None  # noqa: S101 -- it is a pipe
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    with suppress(ConnectionError):  # it has ended; `line` says so
        await process.stdin.drain()
    return Child(process)
