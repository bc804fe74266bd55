"""The bare loop over a stream: read, split, 64 lines a record, send. It looks at no line and remembers nothing.

    python -m benchmarks.contestants.listen JOB

It asks the server of the job for the keywords of its events, reads to the end of the stream, and tries again.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiokafka import AIOKafkaProducer

from app.clients.kafka import producer
from app.sources.lines import READ_BYTES
from benchmarks.contestants.job import Job, job, tune

STREAM = "/2/tweets/search/stream"
RECORD = 64
AGAIN_SECONDS = 0.25
_IDENTITY = {"Authorization": "Bearer bench", "Accept-Encoding": "identity"}


async def main() -> None:
    given = job()
    rules = [{"value": " OR ".join(event.keywords), "tag": event.code} for event in given.events]
    tune()
    async with (
        producer(given.settings) as sender,
        aiohttp.ClientSession(given.url, headers=_IDENTITY, read_bufsize=READ_BYTES) as session,
    ):
        while True:
            try:
                await session.post(f"{STREAM}/rules", json={"add": rules})
                async with session.get(STREAM, timeout=aiohttp.ClientTimeout(total=None)) as answer:
                    await _read(answer.content, sender, given)
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(AGAIN_SECONDS)


async def _read(stream: aiohttp.StreamReader, sender: AIOKafkaProducer, given: Job) -> None:
    rest = b""
    record: list[bytes] = []
    try:
        async for piece in stream.iter_any():
            *lines, rest = (rest + piece).split(b"\r\n")
            record += filter(None, lines)
            while len(record) >= RECORD:
                await sender.send(given.raw_topic, b"\n".join(record[:RECORD]))
                del record[:RECORD]
    finally:
        if record:
            await sender.send(given.raw_topic, b"\n".join(record))


if __name__ == "__main__":
    asyncio.run(main())
