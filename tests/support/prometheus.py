"""Prometheus and promtool: those of this machine, else of Debian's package, which is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.local.server import free_ports
from tests.support.debian import Missing, unpacked
from tests.support.manifests import DEPLOY
from tests.support.orphans import end_with_us
from tests.support.waiting import until

MONITORING = DEPLOY / "components" / "monitoring"
SPEC: dict[str, Any] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())


def program(name: str) -> str:
    """A program of it; skips the test where there is none and none can be had."""
    if found := shutil.which(name):
        return found
    try:
        return str(unpacked("prometheus") / "usr" / "bin" / name)
    except Missing as missing:
        pytest.skip(f"there is no {name}: {missing}")


def panels() -> dict[str, str]:
    """The queries of the dashboard, with a time in place of Grafana's."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "5m")
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }


class Prometheus:
    """One that runs, by its API."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **query: str) -> Any:
        """What it answers."""
        address = f"{self._address}/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 -- of this machine
            return json.load(answer)["data"]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What a query finds now."""
        return list(self.get("query", query=query)["result"])

    def rules(self) -> dict[str, dict[str, Any]]:
        """The alerts, each as it was evaluated last."""
        return {rule["name"]: rule for group in self.get("rules")["groups"] for rule in group["rules"]}

    def firing(self) -> set[str]:
        """The alerts that somebody would be told of."""
        return {name for name, rule in self.rules().items() if rule["state"] == "firing"}


@contextmanager
def prometheus(target: int, labels: Mapping[str, str], directory: Path) -> Iterator[Prometheus]:
    """One that reads, every second, what a port of this machine serves, with the labels that the operator gives."""
    (directory / "rules.yaml").write_text(yaml.safe_dump(SPEC))
    job = {
        "job_name": labels["job"],
        "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": dict(labels)}],
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(directory / "rules.yaml")],
        "scrape_configs": [job],
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    command = [
        program("prometheus"),
        *("--config.file", str(directory / "prometheus.yaml"), "--storage.tsdb.path", str(directory / "data")),
        *("--web.listen-address", f"127.0.0.1:{port}"),
    ]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    end_with_us(process.pid)
    try:
        running = Prometheus(port)
        until(lambda: _answers(running), "Prometheus answers")
        yield running
    finally:
        process.terminate()
        process.wait(20)


def _answers(running: Prometheus) -> bool:
    try:
        return bool(running.ask("vector(1)"))
    except OSError:
        return False
