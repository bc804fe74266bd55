"""Writes to a Faust table from a batch: durable in the changelog before the call returns.

`table[key] = value` takes its partition from the event that Faust read last, which within a batch is another one, and
returns before the changelog has the value. Here both are said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import faust


async def put(table: faust.Table[str, bytes], entries: Iterable[tuple[int, str, bytes | None]]) -> None:
    """Write (partition, key, value) entries; return when the changelog has all of them. None removes the key.

    Raises KafkaError.
    """
    sent = []
    for partition, key, value in entries:
        if value is None:
            table.data.pop(key, None)
        else:
            table.data[key] = value
        sent.append(table.send_changelog(partition, key, value))
    if sent:
        # Shielded: Faust sets the result of each when Kafka has it, and fails where a stop had cancelled one by then.
        for answer in await asyncio.shield(asyncio.gather(*sent, return_exceptions=True)):
            if isinstance(answer, BaseException):
                raise answer


def table(app: faust.App, name: str, partitions: int) -> faust.Table[str, bytes]:
    """A table of text keys and encoded values, sharing the partitions of its source topic."""
    return app.Table(name, partitions=partitions, key_type=str, value_type=bytes)
