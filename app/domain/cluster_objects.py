"""The objects that Starling keeps in a cluster, as data, and the steps from those that are there to those that shall.

For each role there is a PodTemplate, which people write and apply (`deploy/`): image, environment, resources, whatever
they like. Of each, a Deployment is made, and of a worker's a HorizontalPodAutoscaler; both belong to the template, so
Kubernetes removes them with it. Fields are written by server-side apply, `spec.replicas` by a manager of its own and
only to start or to end a role: between, it belongs to the autoscaler and to people.
https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from app.domain.provisioning import TRACKER, Wanted

Object: TypeAlias = dict[str, Any]

ROLE = "starling/role"  # label of a template and of all that is made of it
PAUSED = "starling/paused"  # annotation of a template, a Deployment or an autoscaler: "true" leaves it alone
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "starling"  # value of that label, and name of the field manager
SCALER = "starling-replicas"  # field manager of `spec.replicas`

TEMPLATE, DEPLOYMENT, AUTOSCALER = "PodTemplate", "Deployment", "HorizontalPodAutoscaler"
API = {TEMPLATE: "v1", DEPLOYMENT: "apps/v1", AUTOSCALER: "autoscaling/v2"}
LAG_METRIC = "starling_lag_seconds"


class Scaling(Struct, frozen=True, kw_only=True):
    """How workers are scaled. `by` says who does it; with anything but hpa no autoscaler is made."""

    by: Literal["hpa", "others"] = "hpa"
    cpu_percent: int = 90
    lag_seconds: int = 30
    calm_seconds: int = 300  # of less load before a worker goes: each change stops the whole group for seconds


class Create(Struct, frozen=True):
    """Make a Deployment, with replicas that are then handed to their own manager."""

    object: Object
    replicas: int


class Apply(Struct, frozen=True):
    """Write an object's fields."""

    object: Object


class Scale(Struct, frozen=True):
    """Set the replicas of a Deployment."""

    name: str
    replicas: int
    why: str


class Keep(Struct, frozen=True):
    """Take over `spec.replicas` as it is, so that an apply without it does not set it to 1."""

    name: str
    replicas: int


class Remove(Struct, frozen=True):
    """Delete an object, if it is still this one."""

    kind: str
    name: str
    uid: str
    why: str


Step: TypeAlias = Create | Apply | Scale | Keep | Remove


def role_of(thing: Object) -> str:
    """The role that an object is for; empty where it is for none."""
    return str(thing["metadata"].get("labels", {}).get(ROLE, ""))


def paused(*things: Object | None) -> bool:
    """Whether people have asked that one of these be left alone."""
    return any(
        thing is not None and (thing["metadata"].get("annotations") or {}).get(PAUSED) == "true" for thing in things
    )


def deployment(template: Object) -> Object:
    """The Deployment of a template, without replicas."""
    pod = deepcopy(template["template"])
    labels = {ROLE: role_of(template)}
    pod.setdefault("metadata", {})
    pod["metadata"] = {
        key: value for key, value in pod["metadata"].items() if key in ("labels", "annotations") and value
    }
    pod["metadata"]["labels"] = _labels(template) | pod["metadata"].get("labels", {}) | labels
    return _object(DEPLOYMENT, template) | {
        "spec": {
            "selector": {"matchLabels": labels},
            # One by one, and without room for one more: on the thesis's four small nodes there is none.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "revisionHistoryLimit": 3,
            "template": pod,
        }
    }


def autoscaler(template: Object, wanted: Wanted, scaling: Scaling) -> Object:
    """The HorizontalPodAutoscaler of a template's Deployment."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": scaling.cpu_percent}}
    lag = {
        "metric": {"name": LAG_METRIC, "selector": {"matchLabels": {"role": role_of(template)}}},
        "target": {"type": "Value", "value": str(scaling.lag_seconds)},
    }
    return _object(AUTOSCALER, template) | {
        "spec": {
            "scaleTargetRef": {"apiVersion": API[DEPLOYMENT], "kind": DEPLOYMENT, "name": _name(template)},
            "minReplicas": wanted.least,
            "maxReplicas": wanted.most,
            "metrics": [{"type": "Resource", "resource": cpu}, {"type": "External", "external": lag}],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": min(30, scaling.calm_seconds),
                    "policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": scaling.calm_seconds,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": max(15, scaling.calm_seconds // 5)}],
                },
            },
        }
    }


def foreign(template: Object, existing: Mapping[str, Object]) -> str:
    """Why a template cannot have its objects: another's stands under the name. Empty where nothing does."""
    for kind, thing in existing.items():
        if not _is_ours(thing):
            return f"{kind} {_name(thing)} is not Starling's, and stays as it is"
        if all(owner["uid"] != template["metadata"]["uid"] for owner in _owners(thing)):
            return f"{kind} {_name(thing)} of the template before is still being removed"
    return ""


def scaled(name: str, replicas: int) -> Object:
    """What the manager of replicas applies."""
    return {
        "apiVersion": API[DEPLOYMENT],
        "kind": DEPLOYMENT,
        "metadata": {"name": name},
        "spec": {"replicas": replicas},
    }


def steps(template: Object, existing: Mapping[str, Object], wanted: Wanted, scaling: Scaling) -> list[Step]:
    """What makes of a template's objects (by kind) those that shall be. None of a template or object that is paused."""
    there, scaler = existing.get(DEPLOYMENT), existing.get(AUTOSCALER)
    if paused(template, there, scaler):
        return []
    found: list[Step] = []
    made = deployment(template)
    if there is None:
        found.append(Create(made, wanted.replicas if wanted.running else 0))
    else:
        replicas = int(there["spec"].get("replicas", 1))
        if _owns_replicas(there):
            found.append(Keep(_name(template), replicas))
        found.append(Apply(made))
        if wanted.running is True and replicas == 0:
            found.append(Scale(_name(template), wanted.replicas, wanted.why))
        elif wanted.running is False and replicas > 0:
            found.append(Scale(_name(template), 0, wanted.why))
    if scaling.by == "hpa" and role_of(template) != TRACKER:
        found.append(Apply(autoscaler(template, wanted, scaling)))
    elif scaler is not None and _is_ours(scaler):
        found.append(Remove(AUTOSCALER, _name(scaler), scaler["metadata"]["uid"], "others scale this role"))
    return found


def orphans(templates: Iterable[Object], existing: Iterable[Object]) -> list[Remove]:
    """Removal of what was made of a template that is gone, or was made anew since: Kubernetes may take its time."""
    alive = {template["metadata"]["uid"] for template in templates}
    return [
        Remove(thing["kind"], _name(thing), thing["metadata"]["uid"], "its template is gone")
        for thing in existing
        if _is_ours(thing) and not paused(thing) and not any(owner["uid"] in alive for owner in _owners(thing))
    ]


def _object(kind: str, template: Object) -> Object:
    owner = {"apiVersion": API[TEMPLATE], "kind": TEMPLATE, "name": _name(template), "uid": template["metadata"]["uid"]}
    return {
        "apiVersion": API[kind],
        "kind": kind,
        "metadata": {
            "name": _name(template),
            "namespace": template["metadata"]["namespace"],
            "labels": _labels(template) | {MANAGED_BY: MANAGER},
            "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": False}],
        },
    }


def _labels(template: Object) -> dict[str, str]:
    return dict(template["metadata"].get("labels") or {})


def _name(thing: Object) -> str:
    return str(thing["metadata"]["name"])


def _owners(thing: Object) -> list[Object]:
    return [owner for owner in thing["metadata"].get("ownerReferences", ()) if owner.get("kind") == TEMPLATE]


def _is_ours(thing: Object) -> bool:
    labels = thing["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY) == MANAGER and bool(_owners(thing))


def _owns_replicas(thing: Object) -> bool:
    """Whether the manager of everything else owns the replicas still: it was killed between the first two steps."""
    return any(
        field.get("manager") == MANAGER
        and field.get("operation") == "Apply"
        and "f:replicas" in field.get("fieldsV1", {}).get("f:spec", {})
        for field in thing["metadata"].get("managedFields", ())
    )
