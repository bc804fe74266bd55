"""PodTemplates, as people write them."""

from __future__ import annotations

from typing import Any


def template(role: str, name: str = "", **metadata: Any) -> dict[str, Any]:
    """The template of a role, which runs nothing."""
    container = {
        "name": "starling",
        "image": "starling:test",
        "args": ["worker", "--role", role],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    labels = {"starling/role": role, "app.kubernetes.io/part-of": "starling"}
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": name or role, "labels": labels, **metadata},
        "template": {"metadata": {"labels": {"app.kubernetes.io/name": role}}, "spec": {"containers": [container]}},
    }
