"""The notebooks run from their first cell to their last, and are kept without what that gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from app.settings import Settings
from tests.analysis.conftest import SMALL
from tests.support.place import environment

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
ASKED = 'EVENT = "flood"\nSINCE = UNTIL = None'
# What each must have shown.
SHOWN = {
    "getting-started": ["flood", "storm", "#"],
    "an-event-from-start-to-end": ["x: 90 % of the time heard, 1 gap"],
    "the-thesis-figures": ["u_screen_name", "busiest minute"],
    "word-count-benchmark": ["2 shuffles", "DataFrame", "rangepartitioning"],
}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_all_are_there() -> None:
    assert {path.stem for path in NOTEBOOKS} == SHOWN.keys()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_kept(path: Path) -> None:
    """It would be somebody's posts."""
    notebook = read(path)
    nbformat.validate(notebook)
    assert {*notebook.metadata} == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert cell.metadata in ({}, {"tags": ["parameters"]})
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
        else:
            assert not cell.get("attachments")


@pytest.fixture
def wired(stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to run in, whose settings lead to the posts."""
    for name, value in environment(stored).items():
        monkeypatch.setenv(name, value)
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in SMALL.items()))
    monkeypatch.setenv("SPARK_CONF_DIR", str(conf))
    return tmp_path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(path: Path, wired: Path) -> None:
    notebook = read(path)
    (asked,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    assert 'EVENT = "2012-hurricane-sandy"' in asked.source
    asked.source = ASKED
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(wired)}}).execute()  # raises
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    pictures = [cell for cell in code if any("image/png" in one.get("data", {}) for one in cell.outputs)]
    assert pictures == [cell for cell in code if cell.source.splitlines()[-1].startswith(("draw(", "plot("))]
    told = "\n".join(text for cell in code for one in cell.outputs for text in _texts(one))
    assert [words for words in SHOWN[path.stem] if words not in told] == []
    assert "<table" in told or path.stem == "an-event-from-start-to-end"


def _texts(output: Any) -> list[str]:
    data = output.get("data", {})
    return [output.get("text", ""), *(value for kind, value in data.items() if kind.startswith("text/"))]
