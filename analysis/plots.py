"""What an analysis found as a picture, each in the form that suits it: bars, a line of time, points, a network.

A picture says in its own words what it shows of what, and how complete that is. Nothing of matplotlib's global state
is used, so that plots can be drawn in any thread and beside other code's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.figure import Figure
from pyspark.sql import DataFrame

from analysis.caveats import Caveat
from analysis.drawing import FORMS, draw_gaps, label
from analysis.results import rows

_FULL_LINE = 140  # characters of what stands beneath
_BENEATH = 0.3  # of the height at most
# Families in the order in which a letter is looked for; what a machine has not is passed over.
_FAMILIES = (
    *("DejaVu Sans", "Noto Sans", "Noto Sans Arabic", "Noto Naskh Arabic", "Noto Sans CJK JP", "Noto Sans Hebrew"),
    *("Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Noto Sans Khmer"),
    *("Noto Sans Georgian", "Noto Sans Armenian", "Noto Sans Ethiopic", "Hiragino Sans", "Arial Unicode MS"),
    *("Yu Gothic", "Noto Emoji", "Symbola"),
)


class Plot(Figure):
    """A picture that a notebook shows by itself."""

    rows = 0  # that it shows

    def _repr_png_(self) -> bytes:
        held = BytesIO()
        with _style():
            self.savefig(held, format="png")
        return held.getvalue()

    def save(self, out: Path) -> None:
        """Write it as PNG."""
        out.write_bytes(self._repr_png_())


def plot(name: str, found: DataFrame, of: str, caveat: Caveat | None = None) -> Plot:
    """The picture of what the analysis of that name found in the posts `of` something.

    The caveat's gaps stand behind whatever has an axis of time.
    """
    form = FORMS[name]
    taken = [dict(zip(found.columns, row, strict=True)) for row in rows(found.limit(form.most + 1))]
    shown, more = taken[: form.most], len(taken) > form.most
    with _style():
        figure = Plot(figsize=(10, 6.5), dpi=120)
        figure.rows = len(shown)
        axes = figure.subplots()
        axes.set_title(label(f"{name.replace('-', ' ').capitalize()}: {of}", 90), loc="left", fontweight="bold")
        if shown:
            form.draw(axes, shown)
        else:
            axes.text(0.5, 0.5, "no posts have any", transform=axes.transAxes, ha="center")
            axes.set_axis_off()
        notes = [f"The first {len(shown):,}; there are more."] if more else []
        if caveat is not None:
            if form.timed and shown:
                draw_gaps(axes, caveat)
            notes.append(caveat.words)
        _write_beneath(figure, notes)
    return figure


@contextmanager
def _style() -> Iterator[None]:
    """For making and for drawing: no text of a post is a formula, and every letter is looked for in several fonts."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    families = [name for name in _FAMILIES if name in there] or ["sans-serif"]
    own: Any = {
        "font.family": families,
        "text.parse_math": False,
        "timezone": "UTC",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(own), _quiet():
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """A letter that no font has is drawn as a box, and nothing need be said of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"(?s)Glyph \d+ .* missing from", UserWarning)
        yield


def _write_beneath(figure: Figure, notes: Sequence[str]) -> None:
    lines = [line for note in notes for one in note.splitlines() for line in wrap(one, _FULL_LINE)]
    figure.tight_layout(rect=(0, min(0.022 * len(lines) + 0.015, _BENEATH), 1, 1))
    figure.text(0.01, 0.01, "\n".join(lines), fontsize=8, color="0.3", va="bottom")
