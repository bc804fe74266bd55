"""A picture shows what was found, in axes that say what they are, and says how complete it is."""

from __future__ import annotations

import io
import itertools
import warnings
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from matplotlib.dates import date2num, num2date
from matplotlib.image import imread
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from analysis import plots
from analysis.catalogue import ANALYSES, analysis
from analysis.caveats import Caveat, caveat, unknown
from analysis.drawing import BARS, FORMS
from analysis.layout import places
from analysis.plots import plot
from app.domain.heard_plain import WholeCoverage
from tests.support.analysed import GAP, START
from tests.support.rows import Stored

HEARD = Caveat("x: 90 % of the time heard.", {"x": (tuple(at.replace(tzinfo=None) for at in GAP),)})
SOURCE = {
    "source": "x",
    "share": 0.5,
    "heard_seconds": 1,
    "partly_seconds": 0,
    "withheld": 1200,
    "posts": 7,
    "posts_are_of_the_event": True,
    "gaps": [{"from": "2024-05-01T10:00:00+00:00", "to": None}],
}


def test_every_analysis_has_a_form() -> None:
    assert FORMS.keys() == ANALYSES.keys()


@pytest.mark.parametrize("name", FORMS)
def test_every_analysis_can_be_drawn(found: DataFrame, name: str) -> None:
    options = {"least": 1, "times": 0.5} if name == "bursts" else {}  # else there are none
    picture = plot(name, analysis(name)(found, **options), "flood", HEARD)
    (axes,) = picture.axes
    assert axes.get_title(loc="left").endswith(": flood")
    assert axes.get_xlabel()
    assert picture.rows > 0
    assert HEARD.words in picture.texts[-1].get_text()
    explained = axes.get_legend_handles_labels()[1]
    left, right = axes.get_xlim()
    since, until = date2num([at.replace(tzinfo=None) for at in GAP])
    assert ("not heard by x" in explained) == (FORMS[name].timed and left < until and since < right)
    seen = imread(io.BytesIO(picture._repr_png_()))
    assert seen.shape[:2] == (780, 1200)
    assert len(np.unique(seen.reshape(-1, seen.shape[2]), axis=0)) > 10


def test_a_minute_without_posts_is_at_nothing(found: DataFrame, due: list[Stored]) -> None:
    posts = Counter(row["t_created_at"].replace(second=0, microsecond=0) for row in due)
    picture = plot("posts-per-minute", analysis("posts-per-minute")(found), "flood")
    assert picture.rows == len(posts)
    (line,) = picture.axes[0].get_lines()
    shown = {num2date(at).replace(tzinfo=None): int(count) for at, count in zip(*line.get_data(), strict=True)}
    assert {at: count for at, count in shown.items() if count} == posts
    empty = {at for at, count in shown.items() if not count}
    assert empty == {at + timedelta(minutes=1) for at in posts} - posts.keys()


def test_a_gap_is_drawn_as_far_as_the_time_goes(found: DataFrame) -> None:
    """What was heard live may be years away from the posts of an archive."""
    later = tuple((at + timedelta(days=4000)).replace(tzinfo=None) for at in GAP)
    before = datetime(1990, 1, 1), (START + timedelta(hours=1)).replace(tzinfo=None)
    told = Caveat("", {"x": (later,), "y": (before,)})
    picture = plot("posts-per-minute", analysis("posts-per-minute")(found), "flood", told)
    (axes,) = picture.axes
    assert axes.get_legend_handles_labels()[1] == ["not heard by y"]
    left, right = (num2date(at) for at in axes.get_xlim())
    assert START - timedelta(hours=1) < left < right < START + timedelta(hours=6)


def test_any_text_can_be_a_label(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ["$x^{$", "\\frac", "a\nb\u202e", "洪水", "فيضان", "ไทย", "\U0001f30a", "", "\x00", "x" * 500, "%s {0}"]
    words = spark.createDataFrame([(word, 5) for word in odd], "word string, times long").coalesce(1)
    for families in (plots._FAMILIES, ("No Such Font",)):
        monkeypatch.setattr(plots, "_FAMILIES", families)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture = plot("word-count", words, "$sandy$_{", unknown("$why$"))
            picture._repr_png_()
        assert picture.rows == len(odd)
        labels = [label.get_text() for label in picture.axes[0].get_yticklabels()]
        assert labels[:7] == ["$x^{$", "\\frac", "a b", *odd[3:7]]
        assert max(map(len, labels)) == 40


def test_only_the_first_are_drawn_where_there_are_more(spark: SparkSession) -> None:
    words = spark.range(BARS + 1).select(f.col("id").cast("string").alias("word"), f.lit(1).alias("times"))
    picture = plot("word-count", words, "flood")
    assert picture.rows == BARS
    assert picture.texts[-1].get_text() == f"The first {BARS}; there are more."
    picture = plot("word-count", words.limit(BARS), "flood")
    assert (picture.rows, picture.texts[-1].get_text()) == (BARS, "")
    picture = plot("word-count", words.limit(0), "flood")
    assert (picture.rows, [text.get_text() for text in picture.axes[0].texts]) == (0, ["no posts have any"])
    assert picture._repr_png_()


def test_what_is_joined_stands_together() -> None:
    two_groups = [*itertools.combinations(range(4), 2), *itertools.combinations(range(4, 8), 2)]
    at = places(8, two_groups)
    assert np.array_equal(at, places(8, two_groups))
    joined = max(np.linalg.norm(at[a] - at[b]) for a, b in two_groups)
    apart = min(np.linalg.norm(at[a] - at[b]) for a in range(4) for b in range(4, 8))
    assert joined < apart
    assert np.isfinite(places(1, [(0, 0)])).all()
    assert places(0, []).shape == (0, 2)


def test_a_caveat_tells_what_was_heard_by_whom() -> None:
    now = datetime(2024, 5, 1, 11, tzinfo=UTC)
    gap = datetime(2024, 5, 1, 10), datetime(2024, 5, 1, 11)
    one = caveat(WholeCoverage("flood", 7200.0, {}, [SOURCE], 0), now)
    assert one.words == "x: 50 % of the time heard, 1 gap, ~1,200 posts withheld by the source; 7 posts."
    assert one.gaps == {"x": (gap,)}
    joint = {"share": 0.9, "gaps": [{"from": "2024-05-01T12:00:00+02:00", "to": "2024-05-01T10:30:00+00:00"}]}
    two = caveat(WholeCoverage("flood", 7200.0, joint, [SOURCE, SOURCE | {"source": "y", "gaps": []}], 0), now)
    assert two.words.splitlines()[0] == "all sources: 90 % of the time heard by at least one."
    assert two.gaps == {"any source": ((gap[0], datetime(2024, 5, 1, 10, 30)),), "x": (gap,), "y": ()}
    for nothing in (WholeCoverage("flood", 0.0, {}, [], 0), WholeCoverage("flood", 1.0, {}, [], 0)):
        assert "nobody can say how complete these posts are" in caveat(nothing, now).words
