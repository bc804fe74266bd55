"""Fills raw_tweets from a stream, in a process of its own: as fast as it can, or at a rate.

    python -m benchmarks.produce BOOTSTRAP TOPIC FILE --posts N [--skip N] [--record N] [--rate R] [--tell FILE]
        [--event CODE]

At a rate it makes records as the tracker does: 64 posts, or what 100 ms brought. Posts whose numbers stand in `--tell`
are told on stdout: number, received_at of their record. With `--event` they are an import into that event. A stream
that is too short begins again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from confluent_kafka import Producer

from app.domain.records import raw_headers
from app.topics import MAX_RECORD_BYTES

LINGER = 0.1


def main() -> None:
    arguments = _parser().parse_args()
    producer = Producer(
        {
            "bootstrap.servers": arguments.bootstrap,
            "compression.type": "zstd",
            "linger.ms": 5,
            "batch.size": 1_000_000,
            "message.max.bytes": MAX_RECORD_BYTES,
            "queue.buffering.max.kbytes": 2_000_000,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    partitions = len(producer.list_topics(arguments.topic).topics[arguments.topic].partitions)
    records = _paced(arguments) if arguments.rate else _at_once(arguments)
    code = arguments.event
    for number, (received_at, posts) in enumerate(records):
        headers = raw_headers("bench", "v1", received_at, "import" if code else "replay", event=code)
        producer.produce(arguments.topic, b"\n".join(posts), headers=headers, partition=number % partitions)
        producer.poll(0)
    producer.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("file", type=Path)
    parser.add_argument("--posts", type=int, required=True)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--record", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--tell", type=Path)
    parser.add_argument("--event", default="")
    return parser


def _posts(arguments: argparse.Namespace) -> Iterator[bytes]:
    return islice(_round_and_round(arguments.file), arguments.skip, arguments.skip + arguments.posts)


def _round_and_round(file: Path) -> Iterator[bytes]:
    while True:
        with file.open("rb") as lines:
            for line in lines:
                yield line.rstrip(b"\n")


def _at_once(arguments: argparse.Namespace) -> Iterator[tuple[int, list[bytes]]]:
    posts = _posts(arguments)
    while record := list(islice(posts, arguments.record)):
        yield _now(), record


def _paced(arguments: argparse.Namespace) -> Iterator[tuple[int, list[bytes]]]:
    wanted = set(map(int, arguments.tell.read_text().split())) if arguments.tell else set()
    start = time.monotonic()
    record: list[bytes] = []
    told: list[int] = []
    opened, received_at = 0.0, 0
    for number, post in enumerate(_posts(arguments)):
        due = start + number / arguments.rate
        # The record may be due before the next post.
        if record and opened + LINGER <= due:
            _sleep_until(opened + LINGER)
            yield _told(received_at, record, told)
            record, told = [], []
        _sleep_until(due)
        if not record:
            opened, received_at = time.monotonic(), _now()
        record.append(post)
        if arguments.skip + number in wanted:
            told.append(arguments.skip + number)
        if len(record) == arguments.record:
            yield _told(received_at, record, told)
            record, told = [], []
    if record:
        yield _told(received_at, record, told)


def _told(received_at: int, record: list[bytes], numbers: list[int]) -> tuple[int, list[bytes]]:
    for number in numbers:
        sys.stdout.write(f"{number} {received_at}\n")
    if numbers:
        sys.stdout.flush()
    return received_at, record


def _sleep_until(moment: float) -> None:
    if (rest := moment - time.monotonic()) > 0.0005:
        time.sleep(rest)


def _now() -> int:
    return int(time.time() * 1000)


if __name__ == "__main__":
    main()
