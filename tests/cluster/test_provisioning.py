"""A manager has a real API server run what events ask for: it creates, scales, heals and deletes exactly its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.local.server import free_ports
from app.local.stack import Stack
from app.settings import Settings
from tests.support import commands, events
from tests.support.kubectl import Kubectl
from tests.support.place import place
from tests.support.templates import template
from tests.support.waiting import until
from tests.support.workers import Worker, worker

DEPLOYMENTS, AUTOSCALERS = "deployments.apps", "horizontalpodautoscalers.autoscaling"


@contextmanager
def manager(stack: Stack, cluster: Kubectl, **changed: object) -> Iterator[tuple[Settings, Worker]]:
    """A manager that provisions the namespace, ready."""
    (port,) = free_ports(1)
    own = {"provisioning": "on", "cluster_namespace": cluster.namespace, "lag_metric_port": port, **changed}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(cluster.config))
        with place(stack, **own) as settings, worker(settings, "manager") as started:
            started.wait_ready()
            yield settings, started


def replicas(cluster: Kubectl) -> dict[str, int]:
    """Of each Deployment."""
    return {name: one["spec"]["replicas"] for name, one in cluster.listed(DEPLOYMENTS).items()}


def image(thing: dict[str, Any]) -> str:
    return str(thing["spec"]["template"]["spec"]["containers"][0]["image"])


def test_events_start_trackers_and_workers_and_end_them(stack: Stack, namespace: Kubectl, tmp_path: Path) -> None:
    namespace.apply(template("tracker"), template("worker"))
    with manager(stack, namespace, web_auth=False) as (settings, running):
        until(lambda: replicas(namespace) == {"tracker": 0, "worker": 0}, "both are there, and rest")
        assert set(namespace.listed(AUTOSCALERS)) == {"worker"}
        events.accepted(settings, events.create("flood", keywords=("flood",)))
        until(lambda: replicas(namespace) == {"tracker": 2, "worker": 1}, "an event has begun")
        until(lambda: namespace.listed(DEPLOYMENTS)["worker"]["status"].get("readyReplicas"), "the pod is ready")
        until(lambda: _told(running).get("worker") == (1, "1 event collects"), "the API tells it")
        assert 'starling_replicas_least{role="worker"} 1.0' in running.get("/metrics")[1]
        assert "In the cluster" in running.get("/system")[1]
        shown = json.loads(commands.run(settings, tmp_path, "infra", "status", "--json").out)
        assert [(one["role"], one["replicas"], one["trouble"]) for one in shown["roles"]] == [
            ("tracker", 2, ""),
            ("worker", 1, ""),
        ]
        events.accepted(settings, events.command("stop", "flood"))
        until(lambda: replicas(namespace) == {"tracker": 0, "worker": 0}, "nothing is to do any more", 120)
        least = 'starling_replicas_least{role="worker"} 0.0'
        until(lambda: least in running.get("/metrics")[1], "and none is wanted")
        assert running.complaints() == []


def _told(running: Worker) -> dict[str, tuple[int | None, str]]:
    """Replicas of each role, and why, as the API tells them; none before the cluster was first looked at."""
    _, body = running.get("/api/v1/system")
    if not body or (provisioned := json.loads(body)["provisioned"]) is None:
        return {}
    return {one["role"]: (one["replicas"], one["wanted"]["why"]) for one in provisioned["roles"]}


def test_who_only_looks_changes_nothing_and_apply_does_it_once(
    stack: Stack, namespace: Kubectl, tmp_path: Path
) -> None:
    namespace.apply(template("tracker"), template("worker"))
    with manager(stack, namespace, provisioning="dry-run", web_auth=False) as (settings, running):

        def infra(verb: str) -> list[str]:
            done = commands.run(settings, tmp_path, "infra", verb)
            assert done.status == 0, done.err
            return done.out.splitlines()

        events.accepted(settings, events.create("flood", keywords=("flood",)))
        until(lambda: _told(running).get("worker") == (None, "1 event collects"), "it is told what would be")
        made = [
            "Deployment tracker made, 2 replicas",
            "Deployment worker made, 1 replicas",
            "HorizontalPodAutoscaler worker made",
        ]
        assert infra("diff") == made
        assert replicas(namespace) == {}, "neither the manager nor `diff` made one"
        assert infra("apply") == made
        assert replicas(namespace) == {"tracker": 2, "worker": 1}
        namespace.run("set", "image", "deployment/worker", "starling=elsewhere:1")
        drift = infra("diff")
        assert "Deployment worker: spec.template.spec.containers[0].image elsewhere:1 -> starling:test" in drift
        assert image(namespace.listed(DEPLOYMENTS)["worker"]) == "elsewhere:1"
        assert infra("apply") == drift
        assert image(namespace.listed(DEPLOYMENTS)["worker"]) == "starling:test"
        assert infra("diff") == ["tracker: as it shall be", "worker: as it shall be"]
        assert running.complaints() == []


def test_drift_is_repaired_and_replicas_belong_to_autoscalers_and_people(stack: Stack, namespace: Kubectl) -> None:
    namespace.apply(template("tracker"), template("worker"))
    with manager(stack, namespace) as (settings, running):
        events.accepted(settings, events.create("flood", keywords=("flood",)))
        until(lambda: replicas(namespace) == {"tracker": 2, "worker": 1}, "an event has begun")
        namespace.run("scale", "deployment/worker", "--replicas=3")
        namespace.run("set", "image", "deployment/worker", "starling=elsewhere:1")
        namespace.run("set", "image", "deployment/tracker", "starling=elsewhere:1")
        namespace.run("delete", "hpa", "worker")
        namespace.run("label", "deployment/tracker", "app.kubernetes.io/part-of-")
        until(
            lambda: {image(one) for one in namespace.listed(DEPLOYMENTS).values()} == {"starling:test"},
            "the images are the templates'",
        )
        until(lambda: set(namespace.listed(AUTOSCALERS)) == {"worker"}, "the autoscaler is there again")
        labels = namespace.listed(DEPLOYMENTS)["tracker"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "starling"
        assert replicas(namespace)["worker"] == 3, "who scales it is heeded"
        namespace.apply(template("worker") | {"template": _with_image("starling:next")})
        until(lambda: image(namespace.listed(DEPLOYMENTS)["worker"]) == "starling:next", "a new image is rolled out")
        assert replicas(namespace)["worker"] == 3
        assert running.complaints() == []


def _with_image(name: str) -> dict[str, Any]:
    pod: dict[str, Any] = template("worker")["template"]
    pod["spec"]["containers"][0]["image"] = name
    return pod


def test_what_is_paused_or_somebody_elses_is_left_alone_and_stops_nothing_else(
    stack: Stack, namespace: Kubectl
) -> None:
    namespace.apply(
        _deployment("indexer", {"app": "theirs"}),
        template("indexer"),
        template("classifier", annotations={"starling/paused": "true"}),
        template("tracker"),
        template("normalizer") | {"template": template("normalizer")["template"] | {"spec": _ending()}},
    )
    with manager(stack, namespace) as (settings, running):
        events.accepted(settings, events.create("flood", keywords=("flood",)))
        until(lambda: replicas(namespace).get("tracker") == 2, "the tracker is not held up by the others")
        assert replicas(namespace) == {"tracker": 2, "indexer": 1}
        assert "metadata" in namespace.listed(DEPLOYMENTS)["indexer"]
        assert namespace.listed(DEPLOYMENTS)["indexer"]["metadata"]["labels"] == {"app": "theirs"}
        until(lambda: len(running.complaints()) == 2, "each trouble is told")
        time.sleep(7)
        told = {entry["role"]: entry["why"] for entry in running.complaints()}
        assert told["indexer"] == "Deployment indexer is not Starling's, and stays as it is"
        assert "restartPolicy" in told["normalizer"], "in the words of the API server, once"
        namespace.run("annotate", "podtemplate", "classifier", "starling/paused-")
        until(lambda: replicas(namespace).get("classifier") == 1, "it is not paused any more")
        namespace.run("delete", "podtemplate", "classifier")
        until(lambda: "classifier" not in replicas(namespace), "what was made of it goes with it")
        until(lambda: "classifier" not in namespace.listed(AUTOSCALERS), "its autoscaler too")


def _deployment(name: str, labels: dict[str, str]) -> dict[str, Any]:
    """Somebody else's."""
    pod = template("indexer")["template"] | {"metadata": {"labels": labels}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}


def _ending() -> dict[str, Any]:
    """What a PodTemplate may have, and a Deployment not."""
    return {**template("normalizer")["template"]["spec"], "restartPolicy": "Never"}


def test_what_the_cluster_s_own_rules_forbid_is_told_and_stops_nothing_else(stack: Stack, namespace: Kubectl) -> None:
    mark = {"kubernetes.io/metadata.name": namespace.namespace}
    kept = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["deployments"]}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace.namespace},
        "spec": {
            "matchConstraints": {"resourceRules": [kept], "namespaceSelector": {"matchLabels": mark}},
            "validations": [{"expression": "oldObject.metadata.name != 'classifier'", "message": "it is to stay"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace.namespace},
        "spec": {"policyName": namespace.namespace, "validationActions": ["Deny"]},
    }
    (nobody,) = free_ports(1)
    webhook = {
        "name": "nobody.starling.example",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": f"https://127.0.0.1:{nobody}/"},
        "namespaceSelector": {"matchLabels": mark},
        "objectSelector": {"matchLabels": {"starling/role": "indexer"}},
        "rules": [kept | {"operations": ["CREATE", "UPDATE"]}],
        "sideEffects": "None",
    }
    webhooks = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace.namespace},
        "webhooks": [webhook],
    }
    namespace.apply(template("tracker"), template("classifier"), template("indexer"))
    try:
        namespace.apply(policy, binding, webhooks)
        probe = json.dumps(_deployment("probe", {"starling/role": "indexer"}))
        tried = ("apply", "--dry-run=server", "-f", "-")
        until(lambda: "failed calling webhook" in namespace.tried(*tried, given=probe).stderr, "it is asked")
        with manager(stack, namespace) as (settings, running):
            until(lambda: "classifier" in replicas(namespace), "it is made")
            remove = ("delete", "deployment", "classifier", "--dry-run=server")
            until(lambda: "it is to stay" in namespace.tried(*remove).stderr, "the rule is in force")
            namespace.run("delete", "podtemplate", "classifier")
            until(lambda: len(running.complaints()) >= 2, "each trouble is told")
            events.accepted(settings, events.create("flood", keywords=("flood",)))
            until(lambda: replicas(namespace).get("tracker") == 2, "the tracker is not held up")
            told = {entry["role"]: entry["why"] for entry in running.complaints()}
            assert told.keys() == {"classifier", "indexer"}
            assert told["classifier"].startswith("Deployment classifier cannot be removed: ")
            assert "it is to stay" in told["classifier"]
            assert "failed calling webhook" in told["indexer"]
            assert "indexer" not in replicas(namespace)
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy", "validatingwebhookconfiguration"):
            namespace.run("delete", kind, namespace.namespace, "--ignore-not-found")


def test_two_managers_want_the_same_and_one_goes_on_where_the_other_was_killed(
    stack: Stack, namespace: Kubectl
) -> None:
    namespace.apply(template("tracker"), template("worker"))
    with manager(stack, namespace) as (settings, first):
        (port,) = free_ports(1)
        with (
            pytest.MonkeyPatch.context() as patch,
            _second(settings.model_copy(update={"lag_metric_port": port}), namespace, patch) as second,
        ):
            events.accepted(settings, events.create("flood", keywords=("flood",)))
            until(lambda: replicas(namespace) == {"tracker": 2, "worker": 1}, "an event has begun")
            first.kill()
            events.accepted(settings, events.command("stop", "flood"))
            until(lambda: replicas(namespace) == {"tracker": 0, "worker": 0}, "the other one ends it", 180)
            assert second.alive()


@contextmanager
def _second(settings: Settings, cluster: Kubectl, patch: pytest.MonkeyPatch) -> Iterator[Worker]:
    patch.setenv("KUBECONFIG", str(cluster.config))
    with worker(settings, "manager") as started:
        yield started.wait_ready()


def test_an_api_server_that_is_away_is_asked_again(stack: Stack, namespace: Kubectl) -> None:
    pidfile = namespace.config.with_name("apiserver.pid")
    if not pidfile.exists():
        pytest.skip("the API server of KUBECONFIG is not ours to end")
    namespace.apply(template("tracker"), template("worker"))
    with manager(stack, namespace) as (settings, running):
        until(lambda: replicas(namespace) == {"tracker": 0, "worker": 0}, "both are there")
        with _away(pidfile):
            events.accepted(settings, events.create("flood", keywords=("flood",)))
            until(running.complaints, "it is told")
        until(lambda: namespace.tried("get", "--raw", "/readyz").returncode == 0, "the API server is back")
        until(lambda: replicas(namespace) == {"tracker": 2, "worker": 1}, "what was missed is made up for", 120)
        assert {entry["event"] for entry in running.complaints()} <= {
            "provisioning waits for the API server",
            "the lag metric is not served",
        }
        assert running.alive()


@contextmanager
def _away(pidfile: Path) -> Iterator[None]:
    """The API server killed, and started again by the command that it was started with."""
    pid = int(pidfile.read_text())
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    place_of_it = Path(f"/proc/{pid}/cwd").resolve()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), "it has ended")
    try:
        yield
    finally:
        with (place_of_it / "apiserver.log").open("ab") as log:
            again = subprocess.Popen(command, cwd=place_of_it, stdout=log, stderr=log, start_new_session=True)
        pidfile.write_text(str(again.pid))


def _is_zombie(pid: int) -> bool:
    return " Z " in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:4]
