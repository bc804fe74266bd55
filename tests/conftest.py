"""What tests share: one running stack, and settings that no other test uses."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from app.local.stack import Stack
from app.settings import Settings

# A loaded machine is slow, not wrong.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("patient")

FreshSettings = Callable[..., Settings]


@pytest.fixture(scope="session", autouse=True)
def nobody_elses_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's own stack and variables out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("STARLING_") and not name.startswith("STARLING_TEST_"):
                patch.delenv(name)
        patch.setenv("STARLING_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka and Cassandra; STARLING_TEST_STACK=directory uses, and keeps, a stack that runs there."""
    if reused := os.environ.get("STARLING_TEST_STACK"):
        running = Stack(Path(reused))
        running.start()
        yield running
        return
    own = Stack(tmp_path_factory.mktemp("stack"))
    try:
        own.start()
        yield own
    finally:
        own.stop(purge=True)


@pytest.fixture
def fresh_settings(stack: Stack) -> FreshSettings:
    """Make settings for the stack, with topics and keyspace of their own; keywords replace single settings."""

    def make(**changed: object) -> Settings:
        mark = f"t{uuid.uuid4().hex[:8]}"
        own = {"topic_prefix": f"{mark}-", "keyspace": mark, **stack.addresses, **changed}
        return Settings.model_validate(own)

    return make


@pytest.fixture
def env(fresh_settings: FreshSettings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Fresh settings, in the environment too, for commands started as processes."""
    own = fresh_settings()
    for name in ("kafka", "cassandra", "topic_prefix", "keyspace"):
        monkeypatch.setenv(f"STARLING_{name.upper()}", str(getattr(own, name)))
    return own
