"""How each analysis is drawn on axes: bars, a line of time, points, a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from msgspec import Struct

from analysis.caveats import Caveat
from analysis.layout import places

Rows: TypeAlias = Sequence[dict[str, Any]]
Draw: TypeAlias = Callable[[Axes, Rows], None]

BARS, EDGES, POINTS = 25, 120, 100_000  # rows that a plot shows at most
_LONGEST = 40  # characters of a label
_NAMED = 10  # of what was first seen
_GAPS = ("0.55", "tab:red", "tab:purple", "tab:brown")  # colours, one for whoever did not hear the event


class Form(Struct, frozen=True):
    """How an analysis is drawn, of how many rows at most, and whether along time."""

    draw: Draw
    most: int
    timed: bool = False


def _bars(named: str, number: str, unit: str, within: str | None = None) -> Draw:
    """A bar for each row; in it, where there is such a column, the part of it that is `within`."""

    def draw(axes: Axes, found: Rows) -> None:
        at = range(len(found))
        axes.barh(at, [row[number] or 0 for row in found], color="tab:blue", label=number)
        if within is not None:
            axes.barh(at, [row[within] for row in found], color="tab:cyan", label=within)
            _explain(axes)
        axes.set_yticks(at, [label(str(row[named] or row.get("account") or "")) for row in found])
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.set_ylabel(named.replace("_", " "))
        _count_on(axes.xaxis)

    return draw


def _over_time(unit: str, step: timedelta) -> Draw:
    def draw(axes: Axes, found: Rows) -> None:
        moments, counts = _with_nothing_between([(row[unit], row["posts"]) for row in found], step)
        axes.step(_days(moments), counts, where="post", color="tab:blue")
        axes.fill_between(_days(moments), counts, step="post", color="tab:blue", alpha=0.25)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"posts a {unit}")
        _time_on(axes)

    return draw


def _with_nothing_between(counted: Sequence[tuple[datetime, int]], step: timedelta) -> tuple[list[datetime], list[int]]:
    """The line of counts: it is at 0 wherever a period is left out, and after the last."""
    points: list[tuple[datetime, int]] = []
    for here, after in pairwise([*counted, None]):
        assert here is not None  # noqa: S101 -- only the last is
        points.append(here)
        end = here[0] + step
        if after is None or after[0] > end:
            points.append((end, 0))
    return [at for at, _ in points], [posts for _, posts in points]


def _bursts(axes: Axes, found: Rows) -> None:
    at = _days([row["since"] for row in found])
    usual = [row["usual"] or 0.0 for row in found]
    axes.vlines(at, usual, [row["posts"] for row in found], color="tab:orange")
    axes.plot(at, [row["posts"] for row in found], "o", color="tab:orange", label="posts")
    axes.plot(at, usual, "_", color="tab:blue", markersize=10, label="usual")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("posts a period")
    _explain(axes)
    _time_on(axes)


def _first_seen(axes: Axes, found: Rows) -> None:
    trait = next(iter(found[0]))
    at = _days([row["first_seen"] for row in found])
    axes.step(at, range(1, len(found) + 1), where="post", color="tab:blue")
    most = sorted(range(len(found)), key=lambda number: -found[number]["posts"])[:_NAMED]
    for number in most:
        axes.plot(at[number], number + 1, "o", color="tab:orange")
        axes.annotate(
            label(str(found[number][trait])),
            (at[number], number + 1),
            xytext=(6, -4),
            textcoords="offset points",
            fontsize=8,
            va="top",
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"{trait}s seen so far")
    _time_on(axes)


def _time_on(axes: Axes) -> None:
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_xlabel("time (UTC)")
    _count_on(axes.yaxis)


def _count_on(axis: Any) -> None:
    axis.set_major_locator(MaxNLocator("auto", integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def draw_gaps(axes: Axes, caveat: Caveat) -> None:
    """Gaps as far as the time that is shown: an archive's posts may be years away from what was heard live."""
    left, right = axes.get_xlim()
    for number, (who, spans) in enumerate(caveat.gaps.items()):
        cut = [(max(left, since), min(right, until)) for since, until in map(_days, spans)]
        seen = [(since, until - since) for since, until in cut if since < until]
        if seen:
            axes.broken_barh(
                seen,
                (0, 1),
                transform=axes.get_xaxis_transform(),
                color=_GAPS[number % len(_GAPS)],
                alpha=0.3,
                label=f"not heard by {who}",
                zorder=0,
            )
    axes.set_xlim(left, right)
    if axes.get_legend_handles_labels()[1]:
        _explain(axes)


def _explain(axes: Axes) -> None:
    """A legend where it hides nothing."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=8)


def _days(moments: Sequence[datetime]) -> list[float]:
    return [float(one) for one in date2num(moments)]


def _points(axes: Axes, found: Rows) -> None:
    """Longitude and latitude at one scale, which is true at the equator."""
    for exact, colour, mark, words in (
        (False, "tab:orange", "s", "middle of a place"),
        (True, "tab:blue", ".", "exact position"),
    ):
        some = [row for row in found if row["exact"] == exact]
        if some:
            axes.scatter(
                [row["longitude"] for row in some],
                [row["latitude"] for row in some],
                c=colour,
                marker=mark,
                alpha=0.5,
                label=f"{words} ({len(some):,} posts)",
            )
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.3)
    axes.set_xlabel("longitude (°, east is positive)")
    axes.set_ylabel("latitude (°, north is positive)")
    _explain(axes)


def _network(what: str, *, directed: bool) -> Draw:
    def draw(axes: Axes, found: Rows) -> None:
        names = list(dict.fromkeys(row[end] for row in found for end in ("source", "target")))
        number = {name: at for at, name in enumerate(names)}
        edges = [(number[row["source"]], number[row["target"]]) for row in found]
        weights = [row["weight"] for row in found]
        at, strength = places(len(names), edges), [0] * len(names)
        for (source, target), weight in zip(edges, weights, strict=True):
            strength[source] += weight
            strength[target] += weight
            style = {
                "arrowstyle": "-|>" if directed else "-",
                "color": "0.6",
                "linewidth": 0.5 + 3 * weight / max(weights),
                "shrinkB": 5,
            }
            axes.annotate("", at[target], at[source], arrowprops=style)
        sizes = [30 + 300 * one / max(strength) for one in strength]
        axes.scatter(at[:, 0], at[:, 1], s=sizes, c="tab:blue", zorder=3, alpha=0.8)
        for name, place in zip(names, at, strict=True):
            axes.annotate(label(name, 20), place, xytext=(5, 3), textcoords="offset points", fontsize=7, zorder=4)
        axes.margins(0.08)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(f"{what}; width: posts, at most {max(weights):,}")

    return draw


def label(text: str, longest: int = _LONGEST) -> str:
    """One line, without what turns it around or is not seen."""
    seen = "".join(char if char.isprintable() else " " for char in text)
    short = " ".join(seen.split())
    return short if len(short) <= longest else f"{short[: longest - 1]}…"


FORMS = {
    "word-count": Form(_bars("word", "times", "times"), BARS),
    "posts-per-minute": Form(_over_time("minute", timedelta(minutes=1)), POINTS, timed=True),
    "posts-per-day": Form(_over_time("day", timedelta(days=1)), POINTS, timed=True),
    "bursts": Form(_bursts, POINTS, timed=True),
    "top-hashtags": Form(_bars("hashtag", "posts", "posts"), BARS),
    "links": Form(_bars("link", "posts", "posts"), BARS),
    "languages": Form(_bars("language", "posts", "posts"), BARS),
    "keyword-yield": Form(_bars("keyword", "posts", "posts", "alone"), BARS),
    "first-seen": Form(_first_seen, POINTS, timed=True),
    "accounts-by-posts": Form(_bars("screen_name", "posts", "posts"), BARS),
    "accounts-by-followers": Form(_bars("screen_name", "followers", "followers"), BARS),
    "mention-network": Form(_network("an arrow: who mentions whom", directed=True), EDGES),
    "retweet-network": Form(_network("an arrow: who retweets whom", directed=True), EDGES),
    "hashtag-network": Form(_network("a line: hashtags in one post", directed=False), EDGES),
    "geo-points": Form(_points, POINTS),
}
