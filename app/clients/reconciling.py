"""Brings a namespace of a cluster to what is wanted of each role, or says what that would take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from app.clients.cluster import Cluster, Denied
from app.domain import provisioning
from app.domain.cluster_objects import (
    AUTOSCALER,
    DEPLOYMENT,
    MANAGER,
    ROLE,
    SCALER,
    TEMPLATE,
    Apply,
    Create,
    Keep,
    Object,
    Remove,
    Scale,
    Scaling,
    Step,
    foreign,
    orphans,
    paused,
    role_of,
    scaled,
    steps,
)
from app.domain.provisioning import Bounds, Demand, Outcome, Wanted
from app.settings import Settings

_COMPARED = ("spec", "metadata.labels", "metadata.annotations", "metadata.ownerReferences")
_KINDS = (DEPLOYMENT, AUTOSCALER)


class Reconciler:
    """Holds what it wrote last, so that what stands as it was written costs no request."""

    def __init__(self, found: Cluster, settings: Settings, *, dry_run: bool = False, patience: int = 1) -> None:
        """Of so many looks in a row nothing must be to do for a role before it ends: a short break is no end."""
        self._cluster = found
        self._dry_run = dry_run
        self._bounds = bounds_of(settings)
        self._scaling = scaling_of(settings)
        self._patience = patience
        self._idle: dict[str, int] = {}
        self._written: dict[tuple[str, str], tuple[str, Object]] = {}  # resourceVersion after it, and what was applied

    async def look(self, demand: Demand) -> list[Outcome]:
        """Bring every role to what the demand wants; what cannot be is told, and stops no other.

        Raises Unavailable, and Denied where not even the templates may be read.
        """
        templates = await self._cluster.listed(TEMPLATE, ROLE)
        existing = [thing for kind in _KINDS for thing in await self._cluster.listed(kind, ROLE)]
        # First: where a template of the role has come instead, what is wanted of that one counts.
        gone = [await self._orphan(step, existing) for step in orphans(templates, existing)]
        return gone + [await self._one(template, existing, demand) for template in templates]

    async def _orphan(self, step: Remove, existing: Iterable[Object]) -> Outcome:
        role = next(role_of(thing) for thing in existing if thing["metadata"]["uid"] == step.uid)
        changed: list[str] = []
        trouble = ""
        try:
            changed = await self._step(step, None)
        except Denied as denied:
            trouble = f"{step.kind} {step.name} cannot be removed: {denied}"
        wanted = Wanted(running=False, replicas=0, why=step.why)
        return Outcome(name=step.name, role=role, wanted=wanted, changed=tuple(changed), trouble=trouble)

    async def _one(self, template: Object, existing: Iterable[Object], demand: Demand) -> Outcome:
        name, role = template["metadata"]["name"], role_of(template)
        # By name, whatever its labels: what is somebody else's must not be taken over.
        own = {thing["kind"]: thing for thing in existing if thing["metadata"]["name"] == name}
        wanted = self._wanted(name, role, demand)
        changed: list[str] = []
        trouble = ""
        try:
            for kind in _KINDS:
                if kind not in own and (stranger := await self._cluster.read(kind, name)) is not None:
                    own[kind] = stranger
            trouble = foreign(template, own)
            if not trouble:
                for step in steps(template, own, wanted, self._scaling):
                    changed += await self._step(step, own.get(_kind(step)))
        except Denied as denied:
            trouble = str(denied)
        there = own.get(DEPLOYMENT)
        return Outcome(
            name=name,
            role=role,
            wanted=wanted,
            replicas=int(there["spec"].get("replicas", 1)) if there is not None else None,
            ready=int(there.get("status", {}).get("readyReplicas", 0)) if there is not None else 0,
            changed=tuple(changed),
            paused=paused(template, *own.values()),
            trouble=trouble,
        )

    def _wanted(self, name: str, role: str, demand: Demand) -> Wanted:
        wanted = provisioning.wanted(role, demand, self._bounds)
        self._idle[name] = self._idle.get(name, 0) + 1 if wanted.running is False else 0
        return replace(wanted, running=None) if 0 < self._idle[name] < self._patience else wanted

    async def _step(self, step: Step, there: Object | None) -> list[str]:
        """Do it; what has changed by it, in words."""
        match step:
            case Create(thing, replicas):
                return await self._create(thing, replicas)
            case Apply(thing):
                return await self._apply(thing, there)
            case Keep(name, replicas):
                await self._scale(name, replicas)
                return []
            case Scale(name, replicas, why):
                await self._scale(name, replicas)
                return [f"{DEPLOYMENT} {name} to {replicas} replicas: {why}"]
            case Remove(kind, name, uid, why):
                if not self._dry_run:
                    await self._cluster.remove(kind, name, uid)
                return [f"{kind} {name} removed: {why}"]

    async def _create(self, thing: Object, replicas: int) -> list[str]:
        name = thing["metadata"]["name"]
        # Without replicas it would begin with 1; the manager that writes them once keeps them for itself until told.
        whole = thing | {"spec": thing["spec"] | {"replicas": replicas}}
        await self._cluster.apply(whole, MANAGER, dry_run=self._dry_run)
        await self._scale(name, replicas)
        return [f"{DEPLOYMENT} {name} made, {replicas} replicas"]

    async def _scale(self, name: str, replicas: int) -> None:
        if not self._dry_run:  # not asked of the server either: in a dry run there may be no Deployment yet
            await self._cluster.apply(scaled(name, replicas), SCALER)

    async def _apply(self, thing: Object, there: Object | None) -> list[str]:
        kind, name = thing["kind"], thing["metadata"]["name"]
        if there is None:
            await self._cluster.apply(thing, MANAGER, dry_run=self._dry_run)
            return [f"{kind} {name} made"]
        if self._written.get((kind, name)) == (there["metadata"]["resourceVersion"], thing):
            return []
        after = await self._cluster.apply(thing, MANAGER, dry_run=self._dry_run)
        if not self._dry_run:
            self._written[kind, name] = after["metadata"]["resourceVersion"], thing
        fields = [field for path in _COMPARED for field in differing(path, _at(there, path), _at(after, path))]
        return [f"{kind} {name}: {', '.join(fields)}"] if fields else []


def bounds_of(settings: Settings) -> Bounds:
    """The bounds that the settings give."""
    return Bounds(
        least=settings.workers_least,
        most=settings.workers_most,
        most_hot=settings.workers_most_hot,
        behind_seconds=settings.worker_lag_seconds,
    )


def scaling_of(settings: Settings) -> Scaling:
    """How the settings want workers scaled."""
    return Scaling(
        by=settings.autoscaler,
        cpu_percent=settings.worker_cpu_percent,
        lag_seconds=settings.worker_lag_seconds,
        calm_seconds=settings.workers_calm_seconds,
    )


def differing(path: str, before: Any, after: Any) -> list[str]:
    """Paths at which two values of JSON differ, each with what it is and was."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [*before, *(key for key in after if key not in before)]
        return [one for key in keys for one in differing(f"{path}.{key}", before.get(key), after.get(key))]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [one for number, (old, new) in pairs for one in differing(f"{path}[{number}]", old, new)]
    return [] if before == after else [f"{path} {_short(before)} -> {_short(after)}"]


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _at(thing: Object, path: str) -> Any:
    found: Any = thing
    for name in path.split("."):
        found = (found or {}).get(name)
    return found or {}


def _kind(step: Step) -> str:
    return str(step.object["kind"]) if isinstance(step, Apply) else DEPLOYMENT
