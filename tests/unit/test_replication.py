"""How many copies of each row there shall be, of a keyspace that stands."""

from __future__ import annotations

import pytest

from app.schema import changed_replication
from app.settings import Settings

BY_DATACENTER = "org.apache.cassandra.locator.NetworkTopologyStrategy"
SIMPLE = "org.apache.cassandra.locator.SimpleStrategy"


@pytest.mark.parametrize(
    ("stands", "becomes", "repair"),
    [
        ({"class": BY_DATACENTER, "here": "1"}, "'here': '3'", True),
        ({"class": BY_DATACENTER, "here": "5"}, "'here': '3'", False),
        ({"class": BY_DATACENTER, "here": "3/1"}, "'here': '3'", False),
        ({"class": BY_DATACENTER, "there": "2"}, "'there': '2', 'here': '3'", True),
        ({"class": BY_DATACENTER, "here": "2", "there": "2"}, "'here': '3', 'there': '2'", True),
        ({"class": SIMPLE, "replication_factor": "3"}, "'here': '3'", True),
    ],
)
def test_copies_elsewhere_stay_and_where_there_are_new_ones_a_repair_follows(
    stands: dict[str, str], becomes: str, repair: bool
) -> None:
    changed = changed_replication(Settings(cassandra_datacenter="here", cassandra_replication=3), stands)
    assert changed is not None
    assert changed.statement == (
        f"ALTER KEYSPACE twitter_analytics WITH replication = {{'class': 'NetworkTopologyStrategy', {becomes}}}"
    )
    assert changed.repair is repair


def test_what_is_as_it_shall_be_is_left_alone() -> None:
    three = Settings(cassandra_datacenter="here", cassandra_replication=3)
    assert changed_replication(three, {"class": BY_DATACENTER, "here": "3", "there": "1"}) is None
    unset = Settings(cassandra_datacenter="here")
    assert changed_replication(unset, {"class": BY_DATACENTER, "here": "3"}) is None
