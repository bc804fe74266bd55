"""The bare loop: posts in memory, parsed and matched, no Kafka.

    python -m benchmarks.contestants.bare JOB FILE POSTS matcher|text

`matcher` is Starling's matcher over the whole post. `text` is what a beginner would write: one Aho-Corasick pass over
the lowercased `text`, whatever stands around a hit. Prints JSON.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import ahocorasick
import orjson

from app.domain.posts import Post
from benchmarks.contestants.job import Job, job
from benchmarks.data import lines_of

WARM_UP = 2_000


def main() -> None:
    lines = lines_of(Path(sys.argv[2]), int(sys.argv[3]))
    events_of = _matcher(job()) if sys.argv[4] == "matcher" else _text(job())
    for line in lines[:WARM_UP]:
        events_of(line)
    matched = pairs = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for line in lines:
        found = events_of(line)
        if found:
            matched += 1
            pairs += found
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    sys.stdout.buffer.write(
        orjson.dumps({"posts": len(lines), "matched": matched, "pairs": pairs, "cpu": cpu, "wall": wall})
    )


def _matcher(given: Job) -> Callable[[bytes], int]:
    match = given.matcher().match
    loads = orjson.loads

    def events_of(line: bytes) -> int:
        body = loads(line)
        return len(match(Post(body.get("id_str", ""), "v1", body, {}, line)))

    return events_of


def _text(given: Job) -> Callable[[bytes], int]:
    automaton = ahocorasick.Automaton()
    for event in given.events:
        for keyword in event.keywords:
            automaton.add_word(keyword.lower(), (event.code, keyword))
    automaton.make_automaton()
    loads, find = orjson.loads, automaton.iter

    def events_of(line: bytes) -> int:
        return len({code for _, (code, _) in find(loads(line).get("text", "").lower())})

    return events_of


if __name__ == "__main__":
    main()
