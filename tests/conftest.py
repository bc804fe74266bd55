"""What tests share: one running stack, and settings that no other test uses."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from app.local.stack import Stack
from app.settings import Settings
from tests.support.quick import quickly_started

# A loaded machine is slow, not wrong.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("patient")

# Of these a package shares what is dear (Spark, a control plane); of the others a module does.
SHARING = ("tests/analysis/", "tests/chaos/", "tests/cluster/")


class ByWhatIsShared(LoadScopeScheduling):
    """Tests that share a fixture go to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return next((package for package in SHARING if nodeid.startswith(package)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByWhatIsShared:
    """How `pytest -n 2` shares the tests out."""
    config.option.loadscopereorder = False  # what takes longest comes first, so that both end together
    return ByWhatIsShared(config, log)


FreshSettings = Callable[..., Settings]


@pytest.fixture(scope="session", autouse=True)
def nobody_elses_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's own stack and variables out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("STARLING_") and not name.startswith("STARLING_TEST_"):
                patch.delenv(name)
        for name in ("COLUMNS", "LINES"):  # some shells export them, and they count for more than a terminal's size
            patch.delenv(name, raising=False)
        patch.setenv("STARLING_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session")
def stack() -> Stack:
    """Kafka and Cassandra; STARLING_TEST_STACK=directory uses, and keeps, a stack that runs there.

    All processes of a run have the same one.
    """
    running = Stack(Path(os.environ["STARLING_TEST_STACK"]))
    with quickly_started():
        running.start()
    return running


def pytest_configure(config: pytest.Config) -> None:
    """Say where the stack will be, if a test needs one."""
    if "STARLING_TEST_STACK" not in os.environ:
        os.environ["STARLING_TEST_STACK"] = tempfile.mkdtemp(prefix="starling-stack-")
        config.add_cleanup(_no_stack)


def _no_stack() -> None:
    place = Path(os.environ.pop("STARLING_TEST_STACK"))
    Stack(place).stop(purge=True)
    shutil.rmtree(place, ignore_errors=True)


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
