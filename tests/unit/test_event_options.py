"""What people type about an event: keywords, lists, boxes, moments."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cli.event_options import parse_box, parse_time, read_keywords, split_keywords, split_list, who

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "keywords"),
    [
        (["flood"], ("flood",)),
        (["a, b", "c"], ("a", "b", "c")),
        (['"flash flood"'], ('"flash flood"',)),
        (['"here, now", there'], ('"here, now"', "there")),
        (["“here, now”, there"], ('"here, now"', "there")),
        (["boulder flood,#fire"], ("boulder flood", "#fire")),
        (['"a, b'], ('"a', "b")),  # a quote that is not closed: refused later, in its own words
    ],
)
def test_keywords_are_cut_at_commas_outside_of_quotes(typed: list[str], keywords: tuple[str, ...]) -> None:
    assert split_keywords(typed) == keywords


@pytest.mark.parametrize("typed", ["", " ", "boulder, ", ",", "a,,b", ", a", "\u200b", '"a b", '])
def test_a_blank_keyword_in_a_list_is_refused(typed: str) -> None:
    """Issue 3, 4: `"boulder, "` matched every post."""
    with pytest.raises(ValueError, match="holds a blank keyword, which would match every post"):
        split_keywords([typed])


class File(io.BytesIO):
    name = "list.txt"


@pytest.mark.parametrize(
    ("content", "keywords"),
    [
        (b"flood\ndam bridge\n", ("flood", "dam bridge")),
        (b"\xef\xbb\xbf#flood\r\n\r\n  snow \r\n", ("#flood", "snow")),
        (b"one\rtwo", ("one", "two")),
        ("洪水\n“flash flood”".encode(), ("洪水", '"flash flood"')),
        (b"// in the valley\nflood\n  //creek\n", ("flood",)),
        (b'"a, b"\nhttps://flood.example', ('"a, b"', "https://flood.example")),
    ],
)
def test_a_file_holds_a_keyword_a_line(content: bytes, keywords: tuple[str, ...]) -> None:
    assert read_keywords(File(content)) == keywords


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "list.txt holds no keyword"),
        (b"\n// none\n", "list.txt holds no keyword"),
        (b"flood\nrain, snow\n", "list.txt, line 2: keyword 'rain, snow' has a comma: write two keywords"),
        (b"# of the flood\n", "list.txt, line 1: keyword '# of the flood': '#' has no letter, digit or symbol"),
        (b'flood\n\n"flash\n', "list.txt, line 3: keyword '\"flash' has a quote that is not closed"),
        (b"flood\n#a\nFlood\n", "list.txt, line 3: keyword 'Flood' is the same as 'flood' in line 1"),
        ("überflutung".encode("latin-1"), "list.txt, line 1: this is no text in UTF-8"),
        ("flood".encode("utf-16"), "list.txt, line 1: this is no text in UTF-8"),
    ],
)
def test_a_line_that_is_no_keyword_is_told_with_its_number(content: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        read_keywords(File(content))


def test_lists_and_boxes_are_read() -> None:
    assert split_list(["en, es", "fr"]) == ("en", "es", "fr")
    assert parse_box("-105.4,39.9, -105,40.2") == (-105.4, 39.9, -105.0, 40.2)
    for wrong in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d"):
        with pytest.raises(ValueError, match="is not four numbers west,south,east,north"):
            parse_box(wrong)


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "EST+5EDT,M3.2.0,M11.1.0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.parametrize(
    ("typed", "moment", "notes"),
    [
        ("now", NOW, 0),
        ("now+2h", NOW.replace(hour=14), 0),
        ("now-30m", NOW.replace(hour=11, minute=30), 0),
        ("2026-05-01T18:00Z", NOW.replace(hour=18), 0),
        ("2026-05-01T18:00+02:00", NOW.replace(hour=16), 0),
        ("2026-05-01T08:00", NOW, 1),
        ("2026-05-01", NOW.replace(hour=4), 1),
    ],
)
def test_a_time_without_a_zone_is_local_and_that_is_said(typed: str, moment: datetime, notes: int) -> None:
    said: list[str] = []
    assert parse_time(typed, "--start", NOW, said.append) == moment
    assert len(said) == notes
    for line in said:
        assert line.startswith("--start is read as local time: 2026-05-01T0")
        assert line.endswith("-04:00")


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2h", NOW.replace(hour=10)),
        ("90m", NOW.replace(hour=10, minute=30)),
        ("1d", NOW.replace(month=4, day=30)),
        ("now-2h", NOW.replace(hour=10)),
        ("2026-05-01T08:00Z", NOW.replace(hour=8)),
    ],
)
def test_a_length_of_time_is_that_long_ago_where_the_past_is_asked_for(typed: str, moment: datetime) -> None:
    assert parse_time(typed, "--from", NOW, print, past=True) == moment


@pytest.mark.parametrize("typed", ["2", "2y", "-2h", "h", "999999w"])
def test_what_is_no_length_of_time_is_told_how_to_write_one(typed: str) -> None:
    with pytest.raises(ValueError, match=rf"--from '{typed}' is no time: write .* or 2h \(ago\)"):
        parse_time(typed, "--from", NOW, print, past=True)


def test_a_length_of_time_alone_is_no_moment_to_come() -> None:
    with pytest.raises(ValueError, match=r"--start '2h' is no time: write .* or now\+2h"):
        parse_time("2h", "--start", NOW, print)


@pytest.mark.parametrize(
    "typed", ["", "tomorrow", "12:00", "now+2y", "now+999999w", "2026-13-01", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"--end .* is no time: write"):
        parse_time(typed, "--end", NOW, lambda _: None)


def test_the_person_is_the_one_named_or_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARLING_USER", "ada")
    assert who() == "ada"
    monkeypatch.delenv("STARLING_USER")
    monkeypatch.setenv("LOGNAME", "grace")
    assert who() == "grace"
