"""Whom the lease is given to: to the one that has it, as long as that one is there and has use for it.

aiokafka's sticky assignor asks each member what it had last, and believes one that was frozen for an hour. Here each
says how sure it is: of two that claim the lease, the one that Kafka has just confirmed it to is believed. One whom all
sources refuse claims less than any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

VERSION = 0


class Staying(AbstractPartitionAssignor):
    """For groups that read one partition. `claim` says how sure this member is that it is its own, from 0 on."""

    name = "starling-staying"

    def __init__(self, claim: Callable[[], int]) -> None:
        self._claim = claim

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:  # type: ignore[override,unused-ignore]
        """What this member tells the one that assigns."""
        return ConsumerProtocolMemberMetadata(VERSION, list(topics), bytes([self._claim()]))

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, ConsumerProtocolMemberAssignment]:
        """All partitions to one member."""
        claims = {member: (told.user_data or b"\0")[0] for member, told in members.items()}
        owner = min(members, key=lambda member: (-claims[member], member))
        topics = members[owner].subscription
        owned = [(topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in sorted(topics)]
        return {
            member: ConsumerProtocolMemberAssignment(VERSION, owned if member == owner else [], b"")
            for member in members
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing is remembered."""
