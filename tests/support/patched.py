"""Workers with one thing broken on purpose: a part that hangs, is slow or keeps silent, as real ones sometimes do."""

from __future__ import annotations

import sys
from textwrap import dedent


def starling_with(patch: str) -> list[str]:
    """The command of a `starling` in which a few lines of Python have run before it starts."""
    return [sys.executable, "-c", dedent(patch) + "\nfrom cli import main\nmain()"]
