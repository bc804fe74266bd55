"""What lies in `deploy/` is what a real API server takes, and what runs of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.clients.reconciling import scaling_of
from app.domain.cluster_objects import autoscaler, deployment
from app.domain.provisioning import TRACKERS, Wanted
from app.local.stack import Stack
from app.settings import Settings
from tests.cluster.test_provisioning import manager, replicas
from tests.support import events
from tests.support.kubectl import Kubectl, Object
from tests.support.manifests import OVERLAYS, built
from tests.support.waiting import until

SPARK = 1 + 3 + 1  # master, workers, JupyterLab
BUSY = Wanted(running=True, replicas=1, least=1, most=4, why="")
ACCOUNT = "system:serviceaccount:starling:manager"
AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
RESOURCES = (
    *("podtemplates", "pods", "secrets", "configmaps", "services", "serviceaccounts", "persistentvolumeclaims"),
    *("deployments.apps", "statefulsets.apps", AUTOSCALERS, "events", "nodes"),
    *(
        "roles.rbac.authorization.k8s.io",
        "networkpolicies.networking.k8s.io",
        "poddisruptionbudgets.policy",
        "pods/exec",
    ),
)
FIRST = ("Namespace", "CustomResourceDefinition")
CRDS = Path(__file__).parent / "crds"


@pytest.fixture
def starling(kubectl: Kubectl) -> Iterator[Kubectl]:
    """The namespace that the manifests name."""
    if kubectl.tried("get", "namespace", "starling").returncode == 0:
        pytest.skip("the cluster has a namespace starling, which is not ours")
    try:
        yield kubectl
    finally:
        forget(kubectl)


def forget(kubectl: Kubectl) -> None:
    """Remove what the manifests have made."""
    # First: a namespace is not removed while a server of an API does not say what it has there.
    kubectl.run("delete", "apiservice", "v1beta1.external.metrics.k8s.io", "--ignore-not-found")
    kubectl.run("delete", "namespace", "starling", "--ignore-not-found", "--timeout=100s")
    kubectl.tried("-n", "kube-system", "delete", "rolebinding", "starling-manager-reads-front-proxy")
    kubectl.tried("delete", "priorityclass", "starling-servers")


def given(things: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": things})


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("components", [(), ("split",), ("analysis", "tls")])
def test_an_api_server_takes_every_object_to_the_letter(
    starling: Kubectl, tmp_path: Path, overlay: str, components: tuple[str, ...]
) -> None:
    things = built(overlay, tmp_path, *components)
    first = [thing for thing in things if thing["kind"] in FIRST]
    starling.run("apply", "-f", "-", given=given(first))
    refused = starling.tried("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given(things))
    assert refused.returncode == 0, refused.stderr
    made = [_as_standing(thing, starling) for thing in things if thing["kind"] == "PodTemplate"]
    own = [
        one for template in made for one in (deployment(template), autoscaler(template, BUSY, scaling_of(Settings())))
    ]
    refused = starling.tried("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given(own))
    assert refused.returncode == 0, "and what the manager makes of the templates: " + refused.stderr
    assert "violate PodSecurity" not in refused.stderr


@pytest.fixture
def monitored(kubectl: Kubectl) -> Iterator[None]:
    """The kinds of the Prometheus operator, which may be there already."""
    with kinds(kubectl, "podmonitors", "prometheusrules"):
        yield


@contextmanager
def kinds(cluster: Kubectl, *names: str) -> Iterator[None]:
    """Custom resource definitions, for as long as they are needed; those that the cluster has stay as they are."""
    own = [
        definition
        for name in names
        if cluster.tried("get", "crd", (definition := _definition(name))["metadata"]["name"]).returncode
    ]
    cluster.apply(*own)
    try:
        for one in own:
            # Not by `kubectl wait`: that fails on a definition of which nothing is said yet.
            until(lambda name=one["metadata"]["name"]: _established(cluster, name), "the definition is established")
        yield
    finally:
        for one in own:
            cluster.run("delete", "crd", one["metadata"]["name"])


def _established(cluster: Kubectl, name: str) -> bool:
    said = json.loads(cluster.run("get", "crd", name, "-o", "json")).get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in said)


def _definition(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((CRDS / f"{name}.yaml").read_text()))


@pytest.mark.usefixtures("monitored")
def test_an_api_server_takes_what_monitoring_adds(starling: Kubectl, tmp_path: Path) -> None:
    things = built("local", tmp_path, "monitoring")
    starling.run("apply", "-f", "-", given=given([thing for thing in things if thing["kind"] in FIRST]))
    refused = starling.tried("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given(things))
    assert refused.returncode == 0, refused.stderr
    kept = [thing for thing in things if thing["apiVersion"].startswith("monitoring.coreos.com/")]
    starling.run("apply", "-f", "-", given=given(kept))
    (rule,) = starling.within("starling").listed("prometheusrules").values()
    assert rule["spec"] == next(thing["spec"] for thing in kept if thing["kind"] == "PrometheusRule")
    (monitor,) = starling.within("starling").listed("podmonitors").values()
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == "web"


@pytest.mark.parametrize("components", [("keda",), ("split", "keda-split")])
def test_an_api_server_takes_what_keda_is_asked_for(
    starling: Kubectl, tmp_path: Path, components: tuple[str, ...]
) -> None:
    things = built("local", tmp_path, *components)
    starling.run("apply", "-f", "-", given=given([thing for thing in things if thing["kind"] in FIRST]))
    with kinds(starling, "scaledobjects"):
        refused = starling.tried("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given(things))
    assert refused.returncode == 0, refused.stderr


def test_an_api_server_takes_what_strimzi_is_asked_for(starling: Kubectl, tmp_path: Path) -> None:
    things = built("production", tmp_path, "strimzi")
    starling.run("apply", "-f", "-", given=given([thing for thing in things if thing["kind"] in FIRST]))
    with kinds(starling, "kafkas", "kafkanodepools", "kafkausers"):
        refused = starling.tried("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given(things))
    assert refused.returncode == 0, refused.stderr


def test_an_api_server_takes_what_k8ssandra_comes_with(starling: Kubectl, tmp_path: Path) -> None:
    """All but the K8ssandraCluster: its definition is not to be had where this project is made."""
    things = [thing for thing in built("production", tmp_path, "k8ssandra") if thing["kind"] != "K8ssandraCluster"]
    starling.run("apply", "-f", "-", given=given([thing for thing in things if thing["kind"] in FIRST]))
    refused = starling.tried("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given(things))
    assert refused.returncode == 0, refused.stderr


def test_the_namespace_lets_in_pods_as_operators_are_told_to_make_them(starling: Kubectl, tmp_path: Path) -> None:
    things = built("production", tmp_path, "strimzi", "k8ssandra")
    starling.run("apply", "-f", "-", given=given([thing for thing in things if thing["kind"] in FIRST]))
    asked = {one["kind"]: one["spec"] for one in things if "spec" in one}
    cassandra, users = asked["K8ssandraCluster"]["cassandra"], asked["Kafka"]["entityOperator"]
    broker = asked["KafkaNodePool"]["template"]
    pods = {
        "cassandra": (cassandra["podSecurityContext"], cassandra["containers"], cassandra["initContainers"]),
        "kafka": (broker["pod"]["securityContext"], [broker["kafkaContainer"]], [broker["initContainer"]]),
        "users": (users["template"]["pod"]["securityContext"], [users["template"]["userOperatorContainer"]], []),
    }
    made = [_pod(name, *parts) for name, parts in pods.items()]
    refused = starling.tried("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given(made))
    assert refused.returncode == 0, refused.stderr
    lax = [_pod(name, {}, *parts[1:]) for name, parts in pods.items()]
    refused = starling.tried("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given(lax))
    assert refused.stderr.count("violates PodSecurity") == len(pods), "else this would show nothing"


def _pod(name: str, context: Object, containers: list[Object], before: list[Object]) -> Object:
    spec = {
        "securityContext": context,
        "containers": [{"name": f"c{at}", "image": "x"} | one for at, one in enumerate(containers)],
        "initContainers": [{"name": f"i{at}", "image": "x"} | one for at, one in enumerate(before)],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "starling"}, "spec": spec}


def _as_standing(template: dict[str, Any], cluster: Kubectl) -> dict[str, Any]:
    cluster.run("apply", "-f", "-", given=json.dumps(template))
    return dict(
        json.loads(cluster.within("starling").run("get", "podtemplate", template["metadata"]["name"], "-o", "json"))
    )


def test_the_manager_may_do_what_it_does_and_nothing_else(stack: Stack, starling: Kubectl, tmp_path: Path) -> None:
    things = [thing for thing in built("local", tmp_path) if thing["kind"] not in ("StatefulSet", "APIService")]
    starling.run("apply", "-f", "-", given=given([thing for thing in things if thing["kind"] in FIRST]))
    starling.run("apply", "-f", "-", given=given(things))
    within = starling.within("starling")
    may = {
        f"{verb} {resource}"
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
        for resource in RESOURCES
        if within.tried("auth", "can-i", verb, resource, "--as", ACCOUNT).stdout.strip() == "yes"
    }
    whole = ("get", "list", "create", "patch", "delete")
    assert may == {
        "list podtemplates",
        *(f"{verb} {resource}" for verb in whole for resource in ("deployments.apps", AUTOSCALERS)),
    }
    for other in ("default", "kube-system"):
        assert (
            starling.within(other).tried("auth", "can-i", "list", "deployments.apps", "--as", ACCOUNT).stdout == "no\n"
        )
    with manager(stack, _as_manager(within, tmp_path)) as (settings, running):
        events.accepted(settings, events.create("flood", keywords=("flood",)))
        until(lambda: replicas(within).get("tracker") == 2, "its rights suffice")
        until(lambda: replicas(within).get("worker") == 1, "its rights suffice")
        assert running.complaints() == []


def _as_manager(cluster: Kubectl, tmp_path: Path) -> Kubectl:
    """kubectl's configuration with the token of the manager's service account alone."""
    config = yaml.safe_load(cluster.config.read_text())
    config["users"] = [
        {"name": config["users"][0]["name"], "user": {"token": cluster.run("create", "token", "manager")}}
    ]
    place_of_it = tmp_path / "manager.kubeconfig"
    place_of_it.write_text(yaml.safe_dump(config))
    return Kubectl(place_of_it, cluster.namespace)


def test_on_the_thesis_s_four_small_nodes_everything_has_room(starling: Kubectl, tmp_path: Path) -> None:
    if not starling.config.with_name("kwok.pid").exists():
        pytest.skip("the nodes of KUBECONFIG are not ours to add to")
    things = built("thesis", tmp_path, "analysis")
    within = starling.within("starling")
    starling.run("apply", "-f", "-", given=given([thing for thing in things if thing["kind"] in FIRST]))
    with four_nodes(starling):
        secrets = [
            _secret("starling", "STARLING_TOKEN_SECRET", "STARLING_KAFKA_PASSWORD", "STARLING_CASSANDRA_PASSWORD"),
            *(_secret("kafka", "cluster-id"), _secret("spark", "auth-secret"), _secret("jupyter", "token")),
        ]
        starling.run("apply", "-f", "-", given=given([*things, *secrets]))
        # As the manager would while a hot event collects, with as many workers as it may have.
        templates = within.listed("podtemplates").values()
        most = int(within.listed("configmaps")[_config(templates)]["data"]["STARLING_WORKERS_MOST_HOT"])
        for template in templates:
            count = {"tracker": TRACKERS, "worker": most}.get(template["metadata"]["name"], 1)
            made = deployment(template)
            within.apply(made | {"spec": made["spec"] | {"replicas": count}})

        def waiting() -> list[str]:
            pods = within.listed("pods")
            ready = {name for name, pod in pods.items() if any(map(_is_ready, pod["status"].get("conditions", ())))}
            due = 1 + 3 + 3 + TRACKERS + most + 1 + SPARK
            return sorted(pods.keys() - ready) + ["more"] * (due - len(pods))

        until(lambda: not waiting(), lambda: f"every pod has its place; still without: {waiting()}", 120)


def _config(templates: Iterable[dict[str, Any]]) -> str:
    (name,) = {one["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"] for one in templates}
    return str(name)


def _secret(name: str, *keys: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "starling"}
    data = dict.fromkeys(keys, "0123456789abcdef" * 2)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def _is_ready(condition: dict[str, Any]) -> bool:
    return condition["type"] == "Ready" and condition["status"] == "True"


@contextmanager
def four_nodes(cluster: Kubectl) -> Iterator[None]:
    """Four nodes of 1 vCPU and 4 GB, less what the system keeps of them, and no others."""
    others = list(cluster.listed("nodes"))
    room = {"cpu": "940m", "memory": "3500Mi", "ephemeral-storage": "50Gi", "pods": "110"}
    names = [f"small-{number}" for number in range(4)]
    for name in names:
        metadata = {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        }
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": metadata,
                "status": {"allocatable": room, "capacity": room},
            }
        )
    try:
        cluster.run("cordon", *others)
        yield
    finally:
        forget(cluster)  # while the nodes are there to end their pods
        cluster.run("uncordon", *others)
        cluster.run("delete", "node", *names)
