"""Workers with one thing broken on purpose: a part that hangs, is slow or keeps silent, as real ones sometimes do."""

from __future__ import annotations

import sys
from textwrap import dedent

from tests.support.proxy import Proxy


def starling_with(patch: str) -> list[str]:
    """The command of a `starling` in which a few lines of Python have run before it starts."""
    return [sys.executable, "-c", dedent(patch) + "\nfrom cli import main\nmain()"]


def kafka_by(way: Proxy) -> str:
    """What has a worker reach Kafka by this way alone: else it goes to the address that Kafka tells of itself."""
    host, _, port = way.address.rpartition(":")
    return dedent(f"""
        from aiokafka.cluster import ClusterMetadata
        told = ClusterMetadata.broker_metadata

        def by_that_way(self, broker_id):
            found = told(self, broker_id)
            return None if found is None else found._replace(host={host!r}, port={port})

        ClusterMetadata.broker_metadata = by_that_way
    """)
