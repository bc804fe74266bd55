"""A real Prometheus reads a real process: the alerts and the dashboard are about what is served."""

from __future__ import annotations

from pathlib import Path

from app.local.stack import Stack
from tests.support import events, topics
from tests.support.place import place
from tests.support.prometheus import panels, prometheus
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

MANAGER = {"job": "starling/starling", "namespace": "starling", "pod": "manager-0", "container": "starling"}
# Of what there is nothing here: a live source, a gap, a cluster.
SILENT = (
    *("Posts heard", "State of each source", "Gaps", "Connections and posts", "Posts of the month", "Kept on disk"),
    "Pods and restarts",
)


def test_what_is_well_is_shown_and_wakes_nobody_and_what_is_broken_does(stack: Stack, tmp_path: Path) -> None:
    with place(stack, sources="none") as settings, worker(settings, "all") as running:
        running.wait_ready()
        events.accepted(settings, events.create("flood", keywords=("flood",)))
        with prometheus(running.port, MANAGER, tmp_path) as asked:
            until(lambda: asked.ask('starling_lag_seconds{role="indexer"}'), "it is read")
            until(lambda: all(rule["health"] == "ok" for rule in asked.rules().values()), "every alert was evaluated")

            def empty() -> list[str]:
                found = {name: asked.ask(query.replace("$namespace", "starling")) for name, query in panels().items()}
                return [name for name, shown in found.items() if not shown and not name.startswith(SILENT)]

            until(lambda: empty() == [], "every panel shows something")
            assert asked.firing() == set()
            topics.send(settings, [Raw(b"malformed") for _ in range(40)])
            until(asked.firing, "it is told")
            assert asked.firing() == {"StarlingDeadLetters"}
