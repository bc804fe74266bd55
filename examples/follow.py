"""Follows Starling from outside: prints each event as it changes, and how many raw posts have come.

    python examples/follow.py [HOST:PORT]

Needs aiokafka alone. STARLING_KAFKA and STARLING_TOPIC_PREFIX are read as Starling reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys

from aiokafka import AIOKafkaConsumer


async def main(server: str, prefix: str) -> None:
    """Print until Ctrl-C. Without a group nothing is committed: each start reads all that Kafka still has."""
    events, raw = prefix + "events", prefix + "raw_tweets"
    posts = 0
    async with AIOKafkaConsumer(
        events, raw, bootstrap_servers=server, auto_offset_reset="earliest", max_partition_fetch_bytes=8 << 20
    ) as consumer:
        while True:
            for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
                for record in records:
                    if partition.topic == raw:  # one message a line
                        posts += sum(1 for line in (record.value or b"").split(b"\n") if line.strip())
                    elif record.value is None:
                        print(f"event {record.key.decode()} purged")
                    else:
                        event = json.loads(record.value)
                        print(f"event {event['code']} {event['status']}, version {event['version']}")
            print(f"{posts} raw posts", flush=True)


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("STARLING_KAFKA", "127.0.0.1:9092")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(address, os.environ.get("STARLING_TOPIC_PREFIX", "")))
