"""What all tests of the simulator begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.simulated import Client, opened


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with opened() as one:
        yield one
