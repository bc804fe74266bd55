"""`starling analyze`: what is shown or written is what the analysis found."""

from __future__ import annotations

import csv
import inspect
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from matplotlib.dates import date2num
from pyspark.sql import DataFrame, SparkSession

from analysis import results, run
from analysis.catalogue import ANALYSES, analysis
from analysis.plots import Plot
from app.domain.rows import Row
from app.errors import UserError
from app.exporting.comma import undefused
from app.settings import Settings
from app.settings import settings as settings_read
from cli.analyze import OF, analyze
from tests.support import commands
from tests.support.analysed import GAP, START, of
from tests.support.place import environment
from tests.support.terminal import terminal

ODD = [
    ("=1+1", 2**40, 0.5, True, datetime(2024, 5, 1, 10, 0, 0, 123000)),
    ('say "it",\nor not', -1, -2.25, False, None),
    (None, None, None, None, datetime(1970, 1, 1)),
]
Here = Callable[..., commands.Ran]
SCHEMA = "text string, number bigint, share double, exact boolean, at timestamp"


def read_csv(out: Path) -> list[list[str]]:
    with out.open(newline="") as file:
        return [[undefused(value) for value in row] for row in csv.reader(file)]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine far from UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def odd(spark: SparkSession, elsewhere: None) -> DataFrame:
    """Values that do not go into a file by themselves."""
    moments = [(*rest, at and at.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)) for *rest, at in ODD]
    return spark.createDataFrame(moments, SCHEMA).coalesce(1)


def test_a_csv_file_holds_all_rows(odd: DataFrame, tmp_path: Path) -> None:
    assert results.write(odd, tmp_path / "odd.csv") == 3
    assert read_csv(tmp_path / "odd.csv") == [
        ["text", "number", "share", "exact", "at"],
        ["=1+1", str(2**40), "0.5", "true", "2024-05-01T10:00:00.123Z"],
        ['say "it",\nor not', "-1", "-2.25", "false", ""],
        ["", "", "", "", "1970-01-01T00:00:00.000Z"],
    ]
    assert (tmp_path / "odd.csv").read_bytes().splitlines()[1].startswith(b'"\'=1+1"')  # no formula


def test_a_parquet_file_holds_all_rows(odd: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_PAGE", 2)
    assert results.write(odd, tmp_path / "odd.parquet") == 3
    told = [tuple(row.values()) for row in pq.read_table(tmp_path / "odd.parquet").to_pylist()]
    assert told == [(*rest, at and at.replace(tzinfo=UTC)) for *rest, at in ODD]


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_can_go_into_a_file(found: DataFrame, name: str, tmp_path: Path) -> None:
    assert results.write(analysis(name)(found).limit(0), tmp_path / "it.csv") == 0
    assert read_csv(tmp_path / "it.csv") == [analysis(name)(found).columns]


def test_a_file_is_whole_or_not_there(odd: DataFrame, tmp_path: Path) -> None:
    broken = odd.selectExpr("text", "CAST(raise_error('no') AS string) AS never")
    with pytest.raises(Exception, match="no"):
        results.write(broken, tmp_path / "it.csv")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "there.csv").touch()
    for name, said in (
        ("there.csv", "exists"),
        ("it.xlsx", r"it\.xlsx must end with \.csv or \.parquet"),
        ("no/it.csv", "there is no directory"),
    ):
        with pytest.raises(UserError, match=said):
            results.check_place(tmp_path / name)


@pytest.fixture
def here(
    spark: SparkSession, stored: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Here]:
    """The command in this process, with the Spark that runs."""
    monkeypatch.setattr(run, "spark_for", lambda _master, _report: nullcontext(spark))
    for name, value in environment(stored).items():
        monkeypatch.setenv(name, value)
    settings_read.cache_clear()
    yield lambda *args: commands.run_here(monkeypatch, capsys, "analyze", *args)
    settings_read.cache_clear()


def test_the_command_shows_the_first_rows(here: Here, made: list[Row]) -> None:
    since = START.replace(hour=23, minute=0)
    counted = Counter(
        row["t_lang"] or "und" for row in of(made, "flood") if row["t_created_at"].replace(tzinfo=UTC) >= since
    )
    first = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:3]
    asked = "languages", "flood", "--since", since.isoformat(), "--limit", "3"
    shown = here(*asked, "--json")
    assert (shown.status, shown.err) == (0, "there are more rows: --limit shows more, --out writes all\n")
    assert json.loads(shown.out) == [{"language": language, "posts": posts} for language, posts in first]
    lines = here(*asked).out.splitlines()
    assert [line.split() for line in lines] == [["language", "posts"], *([one, str(posts)] for one, posts in first)]


def test_moments_are_shown_as_utc(here: Here, made: list[Row]) -> None:
    days = sorted({f"{row['t_created_at']:%Y-%m-%d}" for row in of(made, "flood")})
    assert [one["day"] for one in json.loads(here("posts-per-day", "flood", "--json").out)] == [
        f"{day}T00:00:00.000Z" for day in days
    ]
    shown = here("posts-per-day", "flood")
    assert (shown.status, shown.err) == (0, "")
    assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [[day, "00:00:00Z"] for day in days]


def test_the_command_writes_a_file_and_says_nothing_else(stored: Settings, made: list[Row], tmp_path: Path) -> None:
    out = tmp_path / "it.csv"
    asked = "first-seen", "storm", "--trait", "keyword", "--out", str(out)
    wrote = commands.finish(commands.start(stored, tmp_path, "analyze", *asked), seconds=240)
    head, *rows = read_csv(out)
    assert (wrote.status, wrote.err, wrote.out) == (0, "", f"{len(rows)} rows in {out}\n")
    assert head == ["keyword", "first_seen", "t_id", "u_id", "u_screen_name", "posts"]
    assert {row[0] for row in rows} == {keyword for row in of(made, "storm") for keyword in row["matched"]}


def test_the_command_draws_what_was_found_and_when_nobody_heard(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Plot] = []
    monkeypatch.setattr(Plot, "save", lambda plot, out: (drawn.append(plot), out.touch()))
    out = tmp_path / "it.png"
    asked = "posts-per-minute", "flood", "--from", START.isoformat(), "--out", str(out)
    wrote = here(*asked)
    assert (wrote.status, wrote.err) == (0, "")
    assert re.fullmatch(rf"\d+ rows in {re.escape(str(out))}\n", wrote.out)
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == f"Posts per minute: flood from {START:%Y-%m-%d %H:%M} UTC"
    (gap,) = (one for one in axes.collections if one.get_label() == "not heard by x")
    edges = gap.get_paths()[0].vertices[:, 0]
    assert [edges.min(), edges.max()] == pytest.approx(date2num([at.replace(tzinfo=None) for at in GAP]))
    assert "x: 90 % of the time heard, 1 gap" in drawn[0].texts[-1].get_text()
    assert "exists; remove it" in here(*asked).error


def test_a_picture_of_an_event_that_nobody_knows_says_so(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Plot] = []
    monkeypatch.setattr(Plot, "save", lambda plot, out: (drawn.append(plot), out.touch()))
    wrote = here("languages", "storm", "--out", str(tmp_path / "it.png"))
    assert wrote.status == 0
    assert wrote.err.startswith("What was heard of the event is not known: there is no event 'storm'")
    assert "What was heard of the event is not known" in drawn[0].texts[-1].get_text()


@pytest.mark.timeout(600)  # it starts a Spark of its own
def test_a_terminal_sees_how_far_spark_is(stored: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in environment(stored).items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "it.png"
    with terminal("analyze", "retweet-network", "flood", "--out", str(out)) as shown:
        assert shown.wait() == 0, shown.shown
    assert "retweet-network of flood: starting Spark" in shown.shown
    told = re.findall(r"\d+ of \d+ stages, (\d+) of (\d+) tasks", shown.shown)
    assert 0 < max(int(done) for done, _ in told) <= max(int(known) for _, known in told)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_that_matplotlib_is_missing_is_one_line(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("analysis.plots", "analysis.drawing"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = here("links", "flood", "--out", str(tmp_path / "it.png")).error
    assert said.startswith("matplotlib is not installed; install the extra 'analysis'")
    assert here("links", "flood", "--limit", "1").status == 0  # nothing else needs it


@pytest.mark.parametrize("option", OF)
def test_an_option_is_one_of_its_analysis(option: str) -> None:
    assert option in inspect.signature(analysis(OF[option])).parameters
    assert f"--{option}" in [name for parameter in analyze.params for name in parameter.opts]


def test_an_event_that_there_is_not_is_told(here: Here) -> None:
    assert here("links", "nothing").error.startswith("no posts of an event nothing are stored")


def test_a_time_without_posts_is_told(here: Here) -> None:
    ran = here("links", "flood", "--to", "2020-01-01T00:00Z", "--json")
    assert (ran.status, json.loads(ran.out), ran.err) == (0, [], "nothing found in this time\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("links flood --trait link", "--trait is of first-seen alone"),
        ("links flood --minutes 10", "--minutes is of bursts alone"),
        ("links flood --out it", "it must end with .csv or .parquet"),
        ("links flood --since nonsense", "--from 'nonsense' is no time"),
        ("links flood --from 2024-05-02T00:00Z --to 2024-05-01T00:00Z", "--from is not before --to"),
        (
            "links flood --master yarn",
            "Spark works at local, local[N] or spark://host:port, not at 'yarn'",
        ),
        ("likes flood", "invalid value for 'NAME': 'likes' is not one of 'word-count', "),
    ],
)
def test_what_makes_no_sense_is_refused_before_spark_starts(
    args: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in commands.run_here(monkeypatch, capsys, "analyze", *args.split()).error
