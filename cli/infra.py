"""`starling infra`: what a manager has Kubernetes run, or would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from app.domain.cluster_objects import PAUSED
from app.settings import Settings, settings
from cli.event_arguments import with_json
from cli.service import only_direct
from cli.terminal import cell, prepare, print_json, print_table, safe

if TYPE_CHECKING:
    from app.domain.provisioning import Demand, Outcome


@click.group()
def infra() -> None:
    """Look at what Kubernetes runs of Starling, and bring it to what the events ask for.

    Of the cluster in KUBECONFIG, or of the pod where it is called. A manager with STARLING_PROVISIONING=on does the
    same by itself, again and again.
    """


@infra.command()
@with_json
def status(as_json: bool) -> None:
    """Show what each role shall have, and has."""
    demand, outcomes = _look(dry_run=True)
    if as_json:
        print_json({"demand": demand, "roles": outcomes})
        return
    print_table(
        ("role", "deployment", "replicas", "ready", "between", "because"),
        (
            (
                cell(one.role),
                cell(one.name),
                cell("none" if one.replicas is None else str(one.replicas)),
                cell(str(one.ready)),
                cell(f"{one.wanted.least} and {one.wanted.most}" if one.wanted.most else ""),
                cell(_because(one)),
            )
            for one in outcomes
        ),
    )


@infra.command()
@with_json
def diff(as_json: bool) -> None:
    """Show what `apply` would change; nothing is changed."""
    _tell(_look(dry_run=True), as_json=as_json)


@infra.command()
@with_json
def apply(as_json: bool) -> None:
    """Bring the cluster to what the events ask for, once."""
    _tell(_look(dry_run=False), as_json=as_json)


def _look(*, dry_run: bool) -> tuple[Demand, list[Outcome]]:
    prepare()
    only_direct("`starling infra`")
    return asyncio.run(_reconciled(settings(), dry_run=dry_run))


async def _reconciled(chosen: Settings, *, dry_run: bool) -> tuple[Demand, list[Outcome]]:
    from app.clients.cluster import Denied, cluster  # noqa: PLC0415 -- slow to import
    from app.clients.demand import read_demand  # noqa: PLC0415
    from app.clients.reconciling import Reconciler  # noqa: PLC0415
    from app.errors import UserError  # noqa: PLC0415

    async with cluster(chosen) as found:
        demand = await read_demand(chosen)
        try:
            return demand, await Reconciler(found, chosen, dry_run=dry_run).look(demand)
        except Denied as denied:
            raise UserError(f"the API server refuses: {denied}") from None


def _tell(found: tuple[Demand, list[Outcome]], *, as_json: bool) -> None:
    demand, outcomes = found
    if as_json:
        print_json({"demand": demand, "roles": outcomes})
    elif not outcomes:
        click.echo("there is no PodTemplate with the label starling/role: `kubectl apply -k deploy/overlays/…` first")
    for one in [] if as_json else outcomes:
        lines = [*one.changed, *([one.trouble] if one.trouble else [])]
        for line in lines or [f"{one.name}: {_because(one) if one.paused else 'as it shall be'}"]:
            click.echo(safe(line))
    if any(one.trouble for one in outcomes):
        raise click.exceptions.Exit(1)


def _because(one: Outcome) -> str:
    if one.trouble:
        return one.trouble
    return f"left alone: {PAUSED} is true" if one.paused else one.wanted.why
