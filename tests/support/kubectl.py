"""kubectl, as a test calls it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class Kubectl:
    """By a kubeconfig; in a namespace, or wherever what is applied says."""

    def __init__(self, config: Path, namespace: str = "") -> None:
        self.config = config
        self.namespace = namespace

    def within(self, namespace: str) -> Kubectl:
        return Kubectl(self.config, namespace)

    def tried(self, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """What came of a command."""
        within = ["--namespace", self.namespace] if self.namespace else []
        command = ["kubectl", "--kubeconfig", str(self.config), *within, *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=120)

    def run(self, *words: str, given: str | None = None) -> str:
        """What a command prints; it must not fail."""
        done = self.tried(*words, given=given)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {without_skew(done.stderr)}"
        return done.stdout

    def apply(self, *things: Object) -> None:
        """Apply objects."""
        self.run("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)}))

    def listed(self, kind: str, *words: str) -> dict[str, Object]:
        """Objects of a kind, by name."""
        found = json.loads(self.run("get", kind, "-o", "json", "--show-managed-fields", *words))
        return {item["metadata"]["name"]: item for item in found["items"]}


def without_skew(text: str) -> str:
    """Without the warning that kubectl is older than the API server."""
    return "\n".join(line for line in text.splitlines() if "minor version skew" not in line)
