"""Fills the tables of some pages from the code: `python docs/fill.py`, when the test of the documents says so."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import yaml
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase
from pydantic_core import PydanticUndefined

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a file it sees only what lies beside it

from analysis.catalogue import ANALYSES, analysis
from app import metrics
from app.domain.column_words import MEANING
from app.domain.columns import EXPORTED
from app.settings import Settings
from benchmarks import sizing
from cli import starling

DOCS = Path(__file__).parent
PAGES = [DOCS / name for name in ("operations.md", "exports.md", "kubernetes.md", "analysis.md", "evaluation.md")]
RULES = DOCS.parent / "deploy" / "components" / "monitoring" / "rules.yaml"


def fill(page: str) -> str:
    """The page with each table between its marks made anew."""
    tables = {
        "commands": commands_table(),
        "metrics": metrics_table(),
        "alerts": alerts_table(),
        "settings": settings_table(),
        "columns": columns_table(),
        "analyses": analyses_table(),
        "resources": "\n".join(sizing.table()),
    }
    for name, table in tables.items():
        pattern = rf"<!-- {name} -->\n(.*?<!-- end of {name} -->\n)?"
        filled = f"<!-- {name} -->\n{table}\n<!-- end of {name} -->\n"
        page = re.sub(pattern, lambda _, filled=filled: filled, page, flags=re.DOTALL)
    return page


def commands_table() -> str:
    """All commands with the first line of their help."""
    return "\n".join(["| command | |", "|---|---|", *_commands(starling, "starling")])


def _commands(group: click.Group, path: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.resolve_command(context, [name])[1]
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        elif command is not None:
            yield f"| `{path} {name}` | {command.get_short_help_str(200)} |"


def metrics_table() -> str:
    """All metrics of Starling with their meaning."""
    rows = ["| metric | labels | meaning |", "|---|---|---|"]
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            described: Metric = next(iter(metric.describe()))
            suffix = "_total" if described.type == "counter" else ""
            labels = ", ".join(metric._labelnames)
            rows.append(f"| `{described.name}{suffix}` | {labels} | {described.documentation} |")
    return "\n".join(rows)


def alerts_table() -> str:
    """All alerts with what they are told by."""
    rows = ["| alert | severity | when | for |", "|---|---|---|---|"]
    for group in yaml.safe_load(RULES.read_text())["spec"]["groups"]:
        for rule in group["rules"]:
            when = " ".join(rule["expr"].split()).replace("( ", "(").replace(" )", ")").replace("|", "\\|")
            rows.append(f"| `{rule['alert']}` | {rule['labels']['severity']} | `{when}` | {rule.get('for', '')} |")
    return "\n".join(rows)


def settings_table() -> str:
    """All settings with their defaults."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, PydanticUndefined, "") else f"`{field.default}`"
        rows.append(f"| `STARLING_{name.upper()}` | {default} | {field.description or ''} |")
    return "\n".join(rows)


def columns_table() -> str:
    """All columns of an export with their types and meaning."""
    rows = ["| column | type | meaning |", "|---|---|---|"]
    rows += [
        f"| `{name}` | `{kind.removeprefix('frozen<').replace('>>', '>')}` | {MEANING[name]} |"
        for name, kind in EXPORTED.items()
    ]
    return "\n".join(rows)


def analyses_table() -> str:
    """All analyses with their module and the first line of what they say of themselves."""
    rows = ["| function | module | gives |", "|---|---|---|"]
    for name, module in ANALYSES.items():
        first = (inspect.getdoc(analysis(name)) or "").splitlines()[0]
        rows.append(f"| `{analysis(name).__name__}` | `{module}` | {first} |")
    return "\n".join(rows)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(fill(page.read_text()))
