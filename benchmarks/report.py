"""Results as rows of a table and as JSON, each against its target."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    """One figure. Without a target it is there to be compared with."""

    section: str
    case: str
    what: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False  # the target is an upper bound
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is met, and by how much it is missed."""
        if self.target is None:
            return ""
        if (self.value <= self.target) if self.at_most else (self.value >= self.target):
            return "met"
        return f"missed by {abs(self.value / self.target - 1):.0%}" if self.target else "missed"


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def show(results: Sequence[Result]) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False)
    for name in ("section", "case", "what", "value", "target", "verdict", "note"):
        table.add_column(name, justify="right" if name in ("value", "target") else "left")
    for result in results:
        target = "" if result.target is None else f"{'≤' if result.at_most else '≥'} {_number(result.target)}"
        value = f"{_number(result.value)} {result.unit}"
        table.add_row(result.section, result.case, result.what, value, target, result.verdict, result.note)
    Console(width=None if Console().is_terminal else 200, highlight=False).print(table)


def save(results: Sequence[Result], seconds: float, options: dict[str, object]) -> Path:
    """Write the results as JSON; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    file = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "at": now.isoformat(timespec="seconds"),
        "seconds": round(seconds),
        "options": options,
        "machine": machine(),
        "commit": _commit(),
        "results": [{**asdict(result), "verdict": result.verdict} for result in results],
    }
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return file


def machine() -> dict[str, object]:
    """What it was measured on, without names."""
    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((int(line.split()[1]) // 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {"cpu": model, "cores": os.cpu_count(), "memory_gb": memory, "python": platform.python_version()}


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text().splitlines()
    except OSError:
        return []


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=RESULTS.parent
    )
    return told.stdout.strip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
