"""A Chromium for the tests of the pages: the one of this machine, else Debian's, fetched by apt."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.support.debian import Missing, install, unpacked

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> tuple[Path, dict[str, str]]:
    """The program, and what its environment needs beside ours. Raises Missing."""
    if found := next((path for name in NAMES if (path := shutil.which(name))), None):
        return Path(found), {}
    if not shutil.which("apt-get"):
        raise Missing(f"the tests of the pages need Chromium on the PATH ({', '.join(NAMES)}), and there is no apt-get")
    if os.geteuid() == 0:
        install("chromium")
        return chromium()
    root = unpacked("chromium")
    libraries = {str(file.parent) for file in (root / "usr" / "lib").rglob("*.so*")}
    program = root / "usr" / "lib" / "chromium" / "chromium"
    return program, {"LD_LIBRARY_PATH": ":".join(sorted(libraries))}
