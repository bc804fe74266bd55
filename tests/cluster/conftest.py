"""A Kubernetes cluster: that of KUBECONFIG, else the control plane that lies beside the project, else a reason to skip.

The latter has the real API server, controllers and scheduler, and a kubelet that runs nothing: pods are ready at once.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl, without_skew
from tests.support.orphans import end_with_us

PROJECT = Path(__file__).parents[2]
CONTROL_PLANE = PROJECT.parent / "shared" / "kubernetes" / "up.sh"


@pytest.fixture(scope="package")  # it takes 650 MB, which other tests need
def kubectl() -> Iterator[Kubectl]:
    """kubectl for the cluster, as its administrator."""
    if given := os.environ.get("KUBECONFIG"):
        yield Kubectl(Path(given))
        return
    if not CONTROL_PLANE.exists():
        pytest.skip("no cluster: KUBECONFIG is not set, and no control plane lies beside the project")
    home = Path.home() / ".cache" / "local-kubernetes"
    home.mkdir(parents=True, exist_ok=True)
    run = home / "run"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # its ports are fixed: one run at a time on a machine
        env = {**os.environ, "METRICS": "1", "RUN_DIR": str(run)}
        started = subprocess.run(
            ["bash", str(CONTROL_PLANE)], env=env, capture_output=True, text=True, check=False, timeout=600
        )
        for file in run.glob("*.pid"):
            end_with_us(int(file.read_text()))  # a run that is killed would leave them, and the next one their ports
        try:
            assert started.returncode == 0, without_skew(started.stdout + started.stderr)
            yield Kubectl(run / "admin.kubeconfig")
        finally:
            subprocess.run(["bash", str(CONTROL_PLANE), "stop"], env=env, capture_output=True, check=False, timeout=60)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[Kubectl]:
    """A namespace of its own, and kubectl in it."""
    name = f"starling-{uuid.uuid4().hex[:8]}"
    kubectl.run("create", "namespace", name)
    try:
        yield kubectl.within(name)
    finally:
        kubectl.run("delete", "namespace", name, "--wait=false")
