"""Tables of DMI-TCAT: what its export writes is read back as the posts that it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.fields import unescaped
from app.domain.normalize import normalize
from app.domain.posts import Post, read
from app.domain.tcat import Table
from app.errors import UserError
from app.replay.lines import JsonLines, Place
from app.replay.tables import open_lines

COLUMNS = [
    "id",
    "time",
    "created_at",
    "from_user_name",
    "text",
    "filter_level",
    "possibly_sensitive",
    "withheld_copyright",
    "withheld_scope",
    "truncated",
    "retweet_count",
    "favorite_count",
    "lang",
    "to_user_name",
    "in_reply_to_status_id",
    "quoted_status_id",
    "source",
    "location",
    "lat",
    "lng",
    "from_user_id",
    "from_user_realname",
    "from_user_verified",
    "from_user_description",
    "from_user_url",
    "from_user_profile_image_url",
    "from_user_utcoffset",
    "from_user_timezone",
    "from_user_lang",
    "from_user_tweetcount",
    "from_user_followercount",
    "from_user_friendcount",
    "from_user_favourites_count",
    "from_user_listed",
    "from_user_withheld_scope",
    "from_user_created_at",
]
MORE = ("urls", "urls_expanded", "media_urls", "mentions", "hashtags")
ROW = {
    "id": "262605467863900160",
    "time": "1351468800",
    "created_at": "2012-10-29 00:00:00",
    "from_user_name": "ada",
    "text": "the river is up",
    "lang": "en",
    "from_user_id": "77",
    "from_user_realname": "Ada, \"the\" Countess",
    "from_user_verified": "1",
    "from_user_followercount": "12",
    "from_user_created_at": "2009-01-02 03:04:05",
    "lat": "0.000000",
    "lng": "0.000000",
}  # fmt: skip


def php(values: list[str], delimiter: str = ",") -> bytes:
    """A row as PHP's fputcsv writes it."""
    special = f'{delimiter}"\\ \t'
    return delimiter.join(_quoted(one) if any(mark in one for mark in special) else one for one in values).encode()


def _quoted(value: str) -> str:
    """A quote is doubled unless a backslash stands before it."""
    written, escaped = "", False
    for one in value:
        written += '""' if one == '"' and not escaped else one
        escaped = one == "\\" and not escaped
    return f'"{written}"'


def status(row: dict[str, str], *more: str, delimiter: str = ",") -> dict[str, Any]:
    names = [*COLUMNS, *more]
    table = Table(b"\xef\xbb\xbf" + delimiter.join(names).encode())
    found: dict[str, Any] = orjson.loads(table.status(php([row.get(name, "") for name in names], delimiter)))
    return found


def post(row: dict[str, str], *more: str) -> Post:
    posts = read(orjson.dumps(status(row, *more)))
    assert isinstance(posts, list)
    return posts[0]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_row_is_a_status_with_what_is_known_of_it(delimiter: str) -> None:
    assert status(ROW, delimiter=delimiter) == {
        "id_str": "262605467863900160",
        "created_at": "2012-10-29 00:00:00",
        "lang": "en",
        "text": "the river is up",
        "user": {
            "id_str": "77",
            "screen_name": "ada",
            "name": 'Ada, "the" Countess',
            "created_at": "2009-01-02 03:04:05",
            "followers_count": 12,
            "verified": True,
        },
        "entities": {},
    }


def test_it_is_normalized_as_any_other() -> None:
    row = ROW | {"lat": "40.7", "lng": "-74.0", "in_reply_to_status_id": "5", "retweet_count": "3"}
    more = {"hashtags": "flood; nyc", "mentions": "bob", "urls": "http://t.co/a; http://t.co/b"}
    more |= {
        "urls_expanded": "http://example.org/a; http://twitter.com/x/status/1/photo/1",
        "media_urls": "https://m/1",
    }
    values = normalize(post(row | more, *MORE))
    for wanted in (
        ["flood", "nyc"],
        ["http://example.org/a"],
        "https://m/1",
        "bob",
        '{"type":"Point","coordinates":[-74.0,40.7]}',
        1351468800000,
        "5",
        3,
    ):
        assert wanted in values, wanted


CHARACTERS = st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\t\x00\\")


@given(st.text(CHARACTERS, min_size=1).map(str.strip))  # as the export trims it
def test_any_text_comes_through_as_it_was(text: str) -> None:
    assert unescaped(status(ROW | {"text": text})["text"]) == text


@pytest.mark.parametrize(
    "text",
    [
        'a "quote"',
        'a \\"quote\\"',
        "back\\slash",
        "at the end\\",
        'say \\"yes\\", or',
        "1 < 2 &amp; 3 > 2",
        "終わり",
    ],
)
def test_quotes_and_backslashes_as_php_writes_them(text: str) -> None:
    assert unescaped(status(ROW | {"text": text})["text"]) == text


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"1,2", "a row of 2 values below a header of 36"),
        (b"", "a row of"),
        (php([""] * 36), "a row whose id is no whole number"),
        (php(["2.62605E+17", *[""] * 35]), "a row whose id is no whole number"),
        (php(COLUMNS), "a row whose id is no whole number"),  # of a second table behind the first
        (b'"' + b"," * 35, "a row of"),
        (b"\xff" + b"," * 35, "utf-8"),
    ],
)
def test_what_is_no_row_is_told(row: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Table(",".join(COLUMNS).encode()).status(row)


@pytest.mark.parametrize("header", [b"", b"id,text", b'{"id":1}', b"\xff\xfe"])
def test_another_table_is_none(header: bytes) -> None:
    with pytest.raises(ValueError, match="no table of DMI-TCAT"):
        Table(header)


def test_a_file_of_rows_is_read_as_statuses_from_any_place(tmp_path: Path) -> None:
    path = tmp_path / "tcat.csv"
    rows = [php([(ROW | {"id": str(number)}).get(name, "") for name in COLUMNS]) for number in range(1, 6)]
    path.write_bytes(
        b"\xef\xbb\xbf" + b"\r\n".join([",".join(COLUMNS).encode(), *rows[:3], b"no row", *rows[3:]]) + b"\n"
    )
    with open_lines(path) as file:
        file.check()
        found = list(file.read(Place()))
        ids = [orjson.loads(one.data)["id_str"] if one.data and one.data[:1] == b"{" else one.data for one in found]
        assert ids == ["1", "2", "3", b"no row\r", "4", "5"]
        for at, one in enumerate(found):
            assert file.starts_a_line(one.end)
            assert list(file.read(one.end)) == found[at + 1 :]


def test_a_file_of_lines_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_bytes(b'{"a":1}\n')
    with open_lines(path) as file:
        assert type(file) is JsonLines
        assert [one.data for one in file.read(Place())] == [b'{"a":1}']


def test_another_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(b"id,text\n1,hello\n")
    with open_lines(path) as file, pytest.raises(UserError, match="is not JSONL"):
        file.check()
