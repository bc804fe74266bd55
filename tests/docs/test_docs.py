"""The documents say what the code has."""

from __future__ import annotations

import re
import runpy
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from app.clients.notices import signature
from app.domain.columns import COLUMNS
from app.domain.notices import KINDS
from app.roles import Role
from app.simulator.faults import Kind
from app.topics import TOPICS

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"


def test_the_tables_of_the_pages_are_those_of_the_code() -> None:
    filling = runpy.run_path(str(DOCS / "fill.py"))
    for page in filling["PAGES"]:
        assert filling["fill"](page.read_text()) == page.read_text(), f"{page.name}; run: python docs/fill.py"


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
def test_every_topic_is_explained(topic: str) -> None:
    assert f"| `{topic}`" in (DOCS / "architecture.md").read_text()


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_every_role_is_explained(role: str) -> None:
    assert f"| `{role}` |" in (DOCS / "architecture.md").read_text()


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_is_explained(column: str) -> None:
    pages = (DOCS / "columns.md").read_text() + (DOCS / "architecture.md").read_text()
    assert f"`{column}`" in pages or f"| {column} |" in pages


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_fault_of_the_simulator_is_explained(kind: str) -> None:
    assert f"| `{kind}` |" in (DOCS / "simulator.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_notice_is_explained(kind: str) -> None:
    assert re.search(rf"^\|.*`{kind}`.*\|", (DOCS / "notifications.md").read_text(), re.MULTILINE)


def test_the_signature_is_checked_as_the_docs_say() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "notifications.md").read_text(), re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)  # noqa: S102 -- ours
    now = str(int(time.time()))
    headers = {"Starling-Timestamp": now, "Starling-Signature": signature("secret", now, b"{}")}
    assert scope["is_genuine"](headers, b"{}", "secret")
    assert not scope["is_genuine"](headers, b"{ }", "secret")
    assert not scope["is_genuine"](headers | {"Starling-Timestamp": "1"}, b"{}", "secret")


def test_the_readme_names_the_two_commands_on_its_first_screen() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert "make demo" in first_screen
    assert "make test" in first_screen


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *DOCS.glob("*.md")]), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_picture_is_shown_and_small() -> None:
    shown = {name for page in DOCS.glob("*.md") for name in re.findall(r"\]\(images/([^)]+)\)", page.read_text())}
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert shown == sizes.keys()
    assert max(sizes.values()) < 120_000
