"""Whatever dies, and whenever: nothing is lost, nothing counted twice."""

from __future__ import annotations

import pytest

from tests.chaos import broker, kills, outage
from tests.support.together import Running, Together

scenarios = Together(at_once=4)
scenarios.add(kills.twenty_kills_of_a_worker_change_nothing)
scenarios.add(kills.kills_of_a_process_with_all_roles_change_nothing)
scenarios.add(kills.kills_of_one_of_two_workers_change_nothing)
scenarios.add(broker.a_broker_killed_under_load_costs_nothing)
scenarios.add(outage.posts_are_kept_while_kafka_is_away)

together = scenarios.fixture()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", scenarios.names)
def test_chaos(together: Running, scenario: str) -> None:
    together[scenario].result()
