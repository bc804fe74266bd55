"""Programs of Debian's that tests need and a machine may not have: fetched by apt, without the right to install."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

FETCH_SECONDS = 600


class Missing(Exception):
    """There is none, and none can be had; the message says why in a line."""


def install(package: str) -> None:
    """Install a package as root. Raises Missing."""
    _run(package, "apt-get", "update", "-qq")
    _run(package, "apt-get", "install", "-qq", "--yes", "--no-install-recommends", package)


def unpacked(package: str) -> Path:
    """A directory of ours in which a package lies, with what it needs; nothing of it is started. Raises Missing."""
    directory = Path.home() / ".cache" / "starling" / package
    if not directory.exists():
        draft = directory.with_name(f"{directory.name}.{os.getpid()}")
        for part in ("lists/partial", "archives/partial"):
            (draft / part).mkdir(parents=True)
        own = [
            *("-o", f"Dir::State::Lists={draft / 'lists'}", "-o", f"Dir::Cache={draft}", "-o", "Debug::NoLocking=true"),
            *("-o", f"Dir::Cache::Archives={draft / 'archives'}", "-o", "APT::Sandbox::User="),
        ]
        asked = ("install", "-qq", "--yes", "--download-only", "--no-install-recommends")
        _run(package, "apt-get", *own, "update", "-qq")
        _run(package, "apt-get", *own, *asked, package)
        for one in (draft / "archives").glob("*.deb"):
            _run(package, "dpkg-deb", "--extract", str(one), str(draft / "root"))
        shutil.rmtree(directory, ignore_errors=True)
        (draft / "root").rename(directory)
        shutil.rmtree(draft)
    return directory


def _run(package: str, *command: str) -> None:
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
        raise Missing(f"{package} cannot be fetched: {command[0]}: {wrong}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason told").splitlines()[-1]
        raise Missing(f"{package} cannot be fetched: {' '.join(command[:2])}: {said[:200]}")
