"""The autoscaler adds workers by the lag that the manager tells it, and by CPU, and takes them away again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.local.stack import Stack
from app.settings import Settings
from tests import builders
from tests.cluster.test_provisioning import manager, replicas
from tests.support import events, topics
from tests.support.kubectl import Kubectl
from tests.support.templates import template
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

METRIC = "v1beta1.external.metrics.k8s.io"
QUICK = {"workers_calm_seconds": 0, "worker_lag_seconds": 5}


@contextmanager
def aggregated(cluster: Kubectl, settings: Settings) -> Iterator[None]:
    """The API server asks the manager on this machine for the lag."""
    if cluster.tried("get", "apiservice", METRIC).returncode == 0:
        pytest.skip("the cluster has another server of external metrics")
    port = settings.lag_metric_port
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "manager"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": METRIC},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "manager", "namespace": cluster.namespace, "port": port},
        },
    }
    cluster.apply(service, api)
    try:
        cluster.run("wait", "--for=condition=Available", f"apiservice/{METRIC}", "--timeout=180s")
        yield
    finally:
        cluster.run("delete", "apiservice", METRIC)


def use_cpu(cluster: Kubectl, millis: int) -> None:
    """Have the pods seem to use so much; 100m is what each asks for."""
    # Tried, and again and again: one may be gone between being listed and being annotated.
    cluster.tried("annotate", "pod", "--all", f"kwok.x-k8s.io/usage-cpu={millis}m", "--overwrite")


def calm(cluster: Kubectl, millis: int) -> bool:
    """Have the pods seem to use no more; whether one is left. Those that came meanwhile must be told, too."""
    use_cpu(cluster, millis)
    return replicas(cluster) == {"worker": 1}


def test_workers_come_with_the_lag_that_the_broker_tells_and_go_with_it(stack: Stack, namespace: Kubectl) -> None:
    namespace.apply(template("worker"))
    with manager(stack, namespace, **QUICK) as (settings, running), aggregated(namespace, settings):
        topics.send(settings, [Raw(builders.line(builders.status("water"))) for _ in range(40)])
        until(lambda: replicas(namespace) == {"worker": 1}, "records wait for somebody")
        until(lambda: replicas(namespace) == {"worker": 4}, "they wait too long", 180)
        asked = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace.namespace}/starling_lag_seconds"
        assert '"role": "worker"' in namespace.run("get", "--raw", asked).replace('":"', '": "')
        with worker(settings, "worker") as real:
            real.wait_ready()
            topics.wait_drained(settings, "worker")
            until(lambda: calm(namespace, 1), "none waits any more", 180, pause=3)
            until(lambda: replicas(namespace) == {"worker": 0}, "nothing is to do", 120)
        assert running.complaints() == []


def test_workers_come_with_cpu_and_go_with_it(stack: Stack, namespace: Kubectl) -> None:
    namespace.apply(template("worker"))
    with manager(stack, namespace, **QUICK) as (settings, _), aggregated(namespace, settings):
        events.accepted(settings, events.create("flood", keywords=("flood",)))
        until(lambda: replicas(namespace) == {"worker": 1}, "an event collects")

        def busy() -> bool:
            use_cpu(namespace, 180)
            return replicas(namespace) == {"worker": 4}

        until(busy, "each is at 180 % of what it asked for", 180, pause=3)

        until(lambda: calm(namespace, 5), "each is at 5 %", 180, pause=3)
