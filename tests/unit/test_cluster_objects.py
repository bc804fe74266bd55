"""The objects that are made of a template, and the steps to them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.domain.cluster_objects import (
    AUTOSCALER,
    DEPLOYMENT,
    MANAGER,
    Apply,
    Create,
    Remove,
    Scale,
    Scaling,
    autoscaler,
    deployment,
    foreign,
    orphans,
    steps,
)
from app.domain.provisioning import Wanted
from tests.support.templates import template

SCALING = Scaling()
BUSY = Wanted(running=True, replicas=1, least=1, most=4, why="1 event collects")
IDLE = Wanted(running=False, replicas=0, least=1, most=4, why="nothing to do")
UNKNOWN = replace(IDLE, running=None)


def applied(role: str = "worker", **metadata: Any) -> dict[str, Any]:
    """A template as the API server has it."""
    return template(role, namespace="here", uid="1", **metadata)


def standing(made: dict[str, Any], replicas: int, **metadata: Any) -> dict[str, Any]:
    """A Deployment as the API server has it."""
    return made | {
        "metadata": made["metadata"] | {"uid": "2"} | metadata,
        "spec": made["spec"] | {"replicas": replicas},
    }


def kinds(found: list[Any]) -> list[str]:
    return [type(step).__name__ for step in found]


def test_a_deployment_runs_what_its_template_says_and_belongs_to_it() -> None:
    made = deployment(applied())
    assert made["spec"]["template"]["spec"] == template("worker")["template"]["spec"]
    assert made["spec"]["selector"] == {"matchLabels": {"starling/role": "worker"}}
    assert made["spec"]["template"]["metadata"]["labels"] == {
        "starling/role": "worker",
        "app.kubernetes.io/part-of": "starling",
        "app.kubernetes.io/name": "worker",
    }
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("PodTemplate", "1")
    assert "replicas" not in made["spec"], "they are somebody else's"


def test_a_template_stays_as_it_is_while_a_deployment_is_made_of_it() -> None:
    given = applied()
    deployment(given)["spec"]["template"]["spec"]["containers"].clear()
    assert given == applied()


def test_a_role_begins_with_the_replicas_that_are_wanted() -> None:
    first, second = steps(applied(), {}, BUSY, SCALING)
    assert isinstance(first, Create)
    assert first.replicas == 1
    assert isinstance(second, Apply)
    assert second.object["kind"] == AUTOSCALER
    (first, _) = steps(applied(), {}, IDLE, SCALING)
    assert isinstance(first, Create)
    assert first.replicas == 0


@pytest.mark.parametrize(
    ("wanted", "replicas", "scaled"),
    [
        (BUSY, 0, 1),
        (BUSY, 1, None),
        (BUSY, 3, None),  # the autoscaler's, or a person's
        (IDLE, 3, 0),
        (IDLE, 0, None),
        (UNKNOWN, 0, None),
        (UNKNOWN, 3, None),
    ],
)
def test_replicas_are_touched_only_to_begin_and_to_end(wanted: Wanted, replicas: int, scaled: int | None) -> None:
    there = standing(deployment(applied()), replicas)
    found = [step.replicas for step in steps(applied(), {DEPLOYMENT: there}, wanted, SCALING) if type(step) is Scale]
    assert found == ([] if scaled is None else [scaled])


def test_replicas_that_were_not_handed_over_yet_are_kept_first() -> None:
    """Killed between making a Deployment and that: an apply without replicas would set them to 1."""
    mine = {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}}}
    there = standing(deployment(applied("tracker")), 2, managedFields=[mine])
    assert kinds(steps(applied("tracker"), {DEPLOYMENT: there}, BUSY, SCALING)) == ["Keep", "Apply"]
    others = mine | {"manager": "starling-replicas"}
    there = standing(deployment(applied("tracker")), 2, managedFields=[others])
    assert kinds(steps(applied("tracker"), {DEPLOYMENT: there}, BUSY, SCALING)) == ["Apply"]


def test_a_tracker_has_no_autoscaler() -> None:
    assert kinds(steps(applied("tracker"), {}, BUSY, SCALING)) == ["Create"]


def test_an_autoscaler_goes_by_cpu_and_by_the_lag_of_its_role() -> None:
    made = autoscaler(applied("normalizer"), BUSY, replace(SCALING, cpu_percent=80, lag_seconds=20))
    cpu, lag = made["spec"]["metrics"]
    assert cpu["resource"]["target"]["averageUtilization"] == 80
    assert lag["external"]["metric"] == {
        "name": "starling_lag_seconds",
        "selector": {"matchLabels": {"role": "normalizer"}},
    }
    assert lag["external"]["target"] == {"type": "Value", "value": "20"}
    assert (made["spec"]["minReplicas"], made["spec"]["maxReplicas"]) == (1, 4)


def test_where_others_scale_our_autoscaler_goes_and_no_other() -> None:
    ours = autoscaler(applied(), BUSY, SCALING)
    ours["metadata"]["uid"] = "3"
    there = standing(deployment(applied()), 1)
    found = steps(applied(), {DEPLOYMENT: there, AUTOSCALER: ours}, BUSY, replace(SCALING, by="others"))
    assert found[-1] == Remove(AUTOSCALER, "worker", "3", "others scale this role")
    assert kinds(steps(applied(), {DEPLOYMENT: there}, BUSY, replace(SCALING, by="others"))) == ["Apply"]


@pytest.mark.parametrize("what", ["template", DEPLOYMENT, AUTOSCALER])
def test_what_is_paused_is_left_alone(what: str) -> None:
    pause = {"annotations": {"starling/paused": "true"}}
    given = applied(**(pause if what == "template" else {}))
    there = standing(deployment(given), 1, **(pause if what == DEPLOYMENT else {}))
    scaler = autoscaler(given, BUSY, SCALING)
    if what == AUTOSCALER:
        scaler["metadata"] |= pause
    assert steps(given, {DEPLOYMENT: there, AUTOSCALER: scaler}, IDLE, SCALING) == []


def test_what_somebody_else_made_is_never_taken_over() -> None:
    theirs = {"kind": DEPLOYMENT, "metadata": {"name": "worker", "labels": {"starling/role": "worker"}}}
    assert foreign(applied(), {DEPLOYMENT: theirs}) == "Deployment worker is not Starling's, and stays as it is"
    assert foreign(applied(), {DEPLOYMENT: standing(deployment(applied()), 1)}) == ""
    older = deployment(applied() | {"metadata": applied()["metadata"] | {"uid": "0"}})
    assert foreign(applied(), {DEPLOYMENT: older}).endswith("of the template before is still being removed")


def test_what_was_made_of_a_template_that_is_gone_is_removed_and_nothing_else() -> None:
    gone = standing(deployment(applied() | {"metadata": applied()["metadata"] | {"uid": "0"}}), 1)
    theirs = standing(deployment(applied()), 1) | {"metadata": {"name": "worker", "labels": {}, "uid": "9"}}
    assert orphans([applied()], [gone, theirs, standing(deployment(applied()), 1)]) == [
        Remove(DEPLOYMENT, "worker", "2", "its template is gone")
    ]
    paused = gone | {"metadata": gone["metadata"] | {"annotations": {"starling/paused": "true"}}}
    assert orphans([], [paused]) == []
