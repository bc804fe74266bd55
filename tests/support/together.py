"""Tests that mostly wait, for a session to end or a deadline to pass: the ones of a module wait at the same time.

scenarios = Together()

@scenarios.add
def a_quiet_stream_is_healthy(stack: Stack) -> None: ...

together = scenarios.fixture()

@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest

from app.local.stack import Stack

Scenario: TypeAlias = Callable[[Stack], None]
Running: TypeAlias = dict[str, "Future[None]"]


class Together:
    """Scenarios of a module, by name."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._scenarios: dict[str, Scenario] = {}

    def add(self, scenario: Scenario) -> Scenario:
        """Register one, as a decorator."""
        self._scenarios[scenario.__name__] = scenario
        return scenario

    @property
    def names(self) -> list[str]:
        """Names of all."""
        return list(self._scenarios)

    def fixture(self) -> Any:
        """A fixture that starts those which were chosen to run."""

        @pytest.fixture(scope="module")
        def together(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Running]:
            chosen = {
                item.callspec.params["scenario"]
                for item in request.session.items
                if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
            }
            with ThreadPoolExecutor(self._at_once) as pool:
                yield {
                    name: pool.submit(scenario, stack) for name, scenario in self._scenarios.items() if name in chosen
                }

        return together
