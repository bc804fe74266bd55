"""Finds Cassandra again where all its nodes have other addresses than before, as pods have that were made anew.

The driver looks a name up once, when it connects. Of a node that moves it hears from the others; where none is left to
tell, it asks at the old addresses for ever.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence

from cassandra.cluster import Cluster
from cassandra.connection import DefaultEndPoint
from cassandra.policies import ExponentialReconnectionPolicy

log = logging.getLogger(__name__)

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 8.0  # seconds; up to 10 minutes by default


class LookingAgain(ExponentialReconnectionPolicy):
    """Delays between attempts to reach a node; after each that failed the names are looked up anew if no node is up."""

    def __init__(self, names: Sequence[str], port: int, datacenter: str) -> None:
        super().__init__(_FIRST_DELAY, _LONGEST_DELAY)
        self._names = names
        self._port = port
        self._datacenter = datacenter
        self.cluster: Cluster | None = None

    def new_schedule(self) -> Iterator[float]:
        """Seconds, without an end; the driver takes the next one after an attempt."""
        for tried, delay in enumerate(super().new_schedule()):
            if tried:
                self._look()
            yield delay

    def _look(self) -> None:
        cluster = self.cluster
        if cluster is None or cluster.is_shutdown or any(host.is_up for host in cluster.metadata.all_hosts()):
            return
        known = {host.endpoint.address for host in cluster.metadata.all_hosts()}
        for address in sorted(set(self._addresses()) - known):
            log.info("Cassandra has another address", extra={"address": address})
            # Of this data center, or no balancing policy would use it; what it really is it says once it is asked.
            cluster.add_host(DefaultEndPoint(address, self._port), datacenter=self._datacenter)

    def _addresses(self) -> Iterator[str]:
        for name in self._names:
            try:
                found = socket.getaddrinfo(name, self._port, type=socket.SOCK_STREAM)
            except OSError:  # of a Service without a pod that is ready nothing is known
                continue
            yield from (str(place[4][0]) for place in found)
