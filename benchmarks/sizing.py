"""From what was measured (`measured.json`) to what a cluster must have for a load: replicas, partitions, nodes, disk.

Nothing is measured here. 5,700 posts a second are more than the machine holds on which all of it runs at once, so that
load is derived: processor time from what `make bench` found a post to cost, else from what it cost at the highest load
that was measured, which is rather too much, as some of it is there without posts; memory as it is after a long run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MEASURED = Path(__file__).with_name("measured.json")
DEPLOY = Path(__file__).parents[1] / "deploy"
MANIFESTS = ("base/manager", "base/templates", "components/split/templates", "components/kafka/kafka")
LOADS, DERIVED = (57, 500, 5_700), 5_700
# The load that an overlay is laid out for.
FOR = {"local": 57, "thesis": 57, "production": 500}

SERVERS = ("kafka", "cassandra")
COPIES = 3  # of all that Kafka and Cassandra keep: each copy costs what the single one did that was measured
BUSY = 0.7  # of a server's node: beyond that answers become slow
SCALED = 0.9  # of what it asks for, as STARLING_WORKER_CPU_PERCENT has it: beyond that a worker is added
ALWAYS = {"manager": 1, "tracker": 2}
TOGETHER = ("manager", "tracker", "worker", "indexer", *SERVERS)
NODE = 0.94, 3500.0  # cores and MiB that a node of 1 vCPU and 4 GB leaves to pods
LEAST_PARTITIONS = 4
# MB held after a million posts and after three gigabytes: `make bench`, in README.md; by Cassandra, with the heap
# below, after 80 minutes of tests. A minute shows less.
# Of a classifier alone no more than of a worker before that counted trends. Of a tracker as of 24 November: at 5,700
# posts/s it holds 142; without a limit to the stream it held 615 later, and after an outage of Kafka 519.
LONG = {"worker": 310, "classifier": 248, "normalizer": 310, "tracker": 202, "cassandra": 1753}
# Posts that a core does where records are full, as they are at thousands a second: `make bench` with 15 % that match,
# the tracker at 5,700 a second.
BY_BENCH = {"worker": 19_600, "classifier": 36_900, "tracker": 39_300}
HEAP = 1024  # MiB that Cassandra was measured with
# Bytes that a post takes of Kafka's disk in raw_tweets: real posts of 4.4 kB, by zstd in records of 6 and of 64. One
# that matches takes AGAIN times as much in classified_tweets (670 and 961 bytes of the generated ones), and for longer.
RAW_BYTES = {57: 925, 500: 720, 5_700: 720}
RAW_DAYS, CLASSIFIED_DAYS, AGAIN = 1, 7, 1.43


@dataclass(frozen=True)
class Share:
    """What a load asks of a role, or of Kafka and Cassandra: together, and of each process."""

    role: str
    cpu: float  # cores, of all
    rss: float  # MB, of each, in the middle
    rss_most: float
    replicas: int

    @property
    def each(self) -> float:
        """Cores."""
        return self.cpu / self.replicas


@dataclass(frozen=True)
class Asked:
    """What a pod asks for and may have at most."""

    cpu: float
    memory: float  # MiB
    most: float


def measured() -> dict[str, Any]:
    """The file."""
    found: dict[str, Any] = json.loads(MEASURED.read_text())
    return found


@cache
def asked() -> dict[str, Asked]:
    """By role, as the manifests have it."""
    found = {}
    for name in (*MANIFESTS, "components/cassandra/cassandra"):
        for thing in yaml.safe_load_all((DEPLOY / f"{name}.yaml").read_text()):
            template = thing.get("template") or thing.get("spec", {}).get("template")
            if template:
                found[thing["metadata"]["name"]] = of_container(template["spec"]["containers"][0])
    return found


def of_container(container: Mapping[str, Any]) -> Asked:
    """What a container of a manifest asks for."""
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    return Asked(_cores(requests["cpu"]), _mebibytes(requests["memory"]), _mebibytes(limits["memory"]))


def shares(load: int) -> dict[str, Share]:
    """What each role needs at a load of posts a second."""
    loads = {int(posts): used for posts, used in measured()["loads"].items()}
    highest = max(loads)
    found = {}
    for role, used in loads.get(load, loads[highest]).items():
        cpu = used["cpu"]
        if load not in loads and role in BY_BENCH:
            cpu = load / BY_BENCH[role]
        elif load not in loads:
            cpu *= load / highest
        cpu *= COPIES if role in SERVERS else 1
        rss, most = (max(used[key], LONG.get(role, 0)) for key in ("rss", "rss_most"))
        found[role] = Share(role, cpu, rss, most, _replicas(role, cpu))
    return found


def partitions(load: int) -> int:
    """Of raw and classified topics: as many as there are workers, and no fewer than the default."""
    return max(LEAST_PARTITIONS, *(one.replicas for one in shares(load).values() if one.role not in SERVERS))


def nodes(load: int) -> int:
    """Nodes of 1 vCPU and 4 GB that have room for everything, with workers that do both steps."""
    found = shares(load)
    return packed(
        (max(found[role].each, asked()[role].cpu), max(found[role].rss_most, asked()[role].memory))
        for role in TOGETHER
        for _ in range(found[role].replicas)
    )


def disk(load: int) -> float:
    """Gibibytes that each of three brokers must have, as each has a copy of everything."""
    days = RAW_DAYS + CLASSIFIED_DAYS * AGAIN * measured()["share"]
    return float(load * 86_400 * days * RAW_BYTES[load] / 2**30)


def packed(pods: Iterable[tuple[float, float]]) -> int:
    """How many nodes these take, the largest first, each where it fits. ValueError for one that fits nowhere."""
    rooms: list[tuple[float, float]] = []
    for cpu, memory in sorted(pods, key=lambda pod: max(pod[0] / NODE[0], pod[1] / NODE[1]), reverse=True):
        if cpu > NODE[0] or memory > NODE[1]:
            raise ValueError(f"{cpu} cores and {memory} MiB are more than a node has")
        place = next((n for n, room in enumerate(rooms) if room[0] >= cpu - 1e-9 and room[1] >= memory), len(rooms))
        left = rooms.pop(place) if place < len(rooms) else NODE
        rooms.insert(place, (left[0] - cpu, left[1] - memory))
    return len(rooms)


def table() -> Iterator[str]:
    """Lines of the table in docs/kubernetes.md."""
    by_load = {load: shares(load) for load in LOADS}
    heads = [f"{load:,} posts/s{', derived' if load == DERIVED else ''}" for load in LOADS]
    yield f"| | {' | '.join(heads)} |"
    yield f"|---|{'---|' * len(LOADS)}"
    for role in by_load[LOADS[0]]:
        cells = (f"{one.cpu:.2f}, {one.rss_most:.0f} MB, {one.replicas}" for one in (by_load[n][role] for n in LOADS))
        yield f"| {role} | {' | '.join(cells)} |"
    yield f"| partitions | {' | '.join(str(partitions(load)) for load in LOADS)} |"
    yield f"| disk of each broker | {' | '.join(f'{disk(load):.0f} GiB' for load in LOADS)} |"
    yield f"| nodes | {' | '.join(str(nodes(load)) for load in LOADS)} |"


def _replicas(role: str, cpu: float) -> int:
    if role in SERVERS:
        return max(COPIES, math.ceil(cpu / BUSY))
    return ALWAYS.get(role) or max(1, math.ceil(cpu / (SCALED * asked()[role].cpu)))


def _cores(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _mebibytes(text: str) -> float:
    return float(text[:-2]) * {"Mi": 1, "Gi": 1024}[text[-2:]]
