"""A Chromium for the tests of the pages: the one of this machine, else Debian's, fetched by apt."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FETCH_SECONDS = 600


class Missing(Exception):
    """There is none, and none can be had; the message says why in a line."""


def chromium() -> tuple[Path, dict[str, str]]:
    """The program, and what its environment needs beside ours. Raises Missing."""
    if found := next((path for name in NAMES if (path := shutil.which(name))), None):
        return Path(found), {}
    if not shutil.which("apt-get"):
        raise Missing(f"the tests of the pages need Chromium on the PATH ({', '.join(NAMES)}), and there is no apt-get")
    if os.geteuid() == 0:
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", "chromium")
        return chromium()
    return _unpacked(Path.home() / ".cache" / "starling" / "chromium")


def _unpacked(directory: Path) -> tuple[Path, dict[str, str]]:
    """Without the right to install: Debian's packages, unpacked into a directory of ours."""
    program = directory / "usr" / "lib" / "chromium" / "chromium"
    if not program.exists():
        draft = directory.with_name(f"{directory.name}.{os.getpid()}")
        for part in ("lists/partial", "archives/partial"):
            (draft / part).mkdir(parents=True)
        own = [
            *("-o", f"Dir::State::Lists={draft / 'lists'}", "-o", f"Dir::Cache={draft}", "-o", "Debug::NoLocking=true"),
            *("-o", f"Dir::Cache::Archives={draft / 'archives'}", "-o", "APT::Sandbox::User="),
        ]
        _run("apt-get", *own, "update", "-qq")
        _run("apt-get", *own, "install", "-qq", "--yes", "--download-only", "--no-install-recommends", "chromium")
        for package in (draft / "archives").glob("*.deb"):
            _run("dpkg-deb", "--extract", str(package), str(draft / "root"))
        directory.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
        (draft / "root").rename(directory)
        shutil.rmtree(draft)
    libraries = {str(file.parent) for file in (directory / "usr" / "lib").rglob("*.so*")}
    return program, {"LD_LIBRARY_PATH": ":".join(sorted(libraries))}


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )
    except (OSError, subprocess.TimeoutExpired) as wrong:
        raise Missing(f"Chromium cannot be fetched: {command[0]}: {wrong}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason told").splitlines()[-1]
        raise Missing(f"Chromium cannot be fetched: {' '.join(command[:2])}: {said[:200]}")
