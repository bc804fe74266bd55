"""Exports as a test asks for them and reads them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec

from app.clients.exports import decode_entry, key_of
from app.domain.exports import Asked, Export, Wish, Withdrawn, exports_of, manifest_name
from app.exporting.comma import undefused
from app.settings import Settings
from app.topics import EXPORTS, full_name
from tests.support import events, topics
from tests.support.patched import starling_with
from tests.support.place import environment
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import STARLING

# Buckets are read slowly, and each is a place to go on from: so that a kill comes in between.
SLOW = """
    import time
    from app.exporting import job
    job.KEEP_SECONDS = 0
    pages = job.Chooser.pages
    def slow(self, bucket):
        time.sleep(0.3)
        yield from pages(self, bucket)
    job.Chooser.pages = slow
"""


def slow_manager(gate: Path | None = None) -> list[str]:
    """The command of a `starling` whose manager writes exports slowly, and none before there is a file `gate`."""
    held = (
        f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists():\n    time.sleep(0.05)\n" if gate else ""
    )
    child = dedent(SLOW) + held + "from app.exporting.__main__ import main\nmain()\n"
    return starling_with(f"""
        import sys
        from app.exporting import process
        process.COMMAND = (sys.executable, "-c", {child!r})
    """)


def start(
    settings: Settings, *arguments: str, command: list[str] | None = None, **changed: str
) -> subprocess.Popen[str]:
    """`starling export` as a process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}
    env = inherited | environment(settings) | {"STARLING_USER": "ann"} | changed
    return subprocess.Popen(
        [*(command or [str(STARLING)]), "export", *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(settings: Settings, *arguments: str) -> tuple[int, str, str]:
    """Its exit status and what it says."""
    process = start(settings, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def exported(settings: Settings, out: Path, code: str, kind: str, *arguments: str) -> dict[str, Any]:
    """Export into a file; its manifest, of which the file's length and sum are right."""
    status, said, wrong = run(settings, code, "--format", kind, "--out", str(out), "--json", *arguments)
    assert status == 0, wrong
    manifest = json.loads(out.with_name(manifest_name(out.name)).read_text())
    assert json.loads(said)["sha256"] == manifest["file"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert json.loads(said)["rows"] == manifest["file"]["rows"]
    assert manifest["file"]["bytes"] == out.stat().st_size
    assert not out.with_name(f"{out.name}.part").exists()
    found: dict[str, Any] = manifest
    return found


def csv_rows(out: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, as a program reads it that follows the manifest's note."""
    with out.open(encoding="utf-8-sig", newline="") as file:
        return [{name: undefused(value) for name, value in row.items()} for row in csv.DictReader(file)]


def ask(settings: Settings, code: str, wish: Wish, who: str = "ann") -> Asked:
    """Ask a manager for an export, as the API does."""
    born = events.events(settings)[code].born
    asked = Asked(id=uuid.uuid4().hex, code=code, born=born, wish=wish, at=datetime.now(UTC), who=who)
    _send(settings, asked)
    return asked


def withdraw(settings: Settings, asked: Asked) -> None:
    """Take it back."""
    _send(settings, msgspec.structs.replace(asked, withdrawn=Withdrawn(datetime.now(UTC), asked.who)))


def _send(settings: Settings, entry: Asked) -> None:
    topics.send(settings, [Raw(msgspec.json.encode(entry), None, key_of(entry), ())], EXPORTS)


def told(settings: Settings, asked: Asked) -> Export:
    """How an export stands."""
    found = topics.newest(settings, full_name(EXPORTS, settings))
    return exports_of(map(decode_entry, found.values()))[asked.id]


def wait(settings: Settings, asked: Asked, *states: str, seconds: float = 120) -> Export:
    """The export once it is in one of these states, by what its manager has told."""
    return until(
        lambda: (one := told(settings, asked)).progress is not None and one.progress.state in states and one,
        f"the export is {' or '.join(states)}",
        seconds,
        pause=0.3,
    )
