"""What kustomize makes of `deploy/`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
OVERLAYS = ("local", "thesis", "production")


def built(overlay: str, tmp: Path, *components: str, **more: Any) -> list[dict[str, Any]]:
    """The objects of an overlay, with what people add in an overlay of their own: components, and more."""
    place = tmp / "-".join((overlay, *components, *more))
    place.mkdir(exist_ok=True)
    # kustomize takes nothing by an absolute path.
    deploy = Path(os.path.relpath(DEPLOY, place.resolve()))
    asked = {
        "resources": [str(deploy / "overlays" / overlay)],
        "components": [str(deploy / "components" / one) for one in components],
        "images": [{"name": name, "newName": name, "newTag": "own"} for name in ("starling", "starling-analysis")],
        **more,
    }
    (place / "kustomization.yaml").write_text(yaml.safe_dump(asked))
    done = subprocess.run(["kubectl", "kustomize", str(place)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [thing for thing in yaml.safe_load_all(done.stdout) if thing]
