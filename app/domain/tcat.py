"""Rows of a table that DMI-TCAT has exported ("all tweets", CSV or TSV) as v1.1 statuses.

Source of the facts: DMI-TCAT, analysis/mod.export_tweets.php and analysis/common/CSV.class.php. A row is one line: the
export puts blanks where a value had line breaks. Its texts are unescaped HTML. PHP writes a quote that stands after a
backslash once, where others write it twice. Lists are joined by "; ". Positions that are not known are 0.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import orjson

_BOM = "\ufeff"
_QUOTED = re.compile(r'"((?:\\.|""|[^"\\])*)"', re.DOTALL)
_MEDIUM = re.compile(r"/status/\d+/(photo|video)/\d+$")  # listed among the links, too
_DOUBLED = re.compile(r'(\\.)|""', re.DOTALL)

# Of a status, and of its user: name here -> column there.
_TEXTS = {
    "id_str": "id",
    "created_at": "created_at",
    "lang": "lang",
    "source": "source",
    "filter_level": "filter_level",
    "withheld_scope": "withheld_scope",
    "in_reply_to_screen_name": "to_user_name",
    "in_reply_to_status_id_str": "in_reply_to_status_id",
    "quoted_status_id_str": "quoted_status_id",
}
_NUMBERS = {"retweet_count": "retweet_count", "favorite_count": "favorite_count"}
_TRUTHS = {
    "possibly_sensitive": "possibly_sensitive",
    "truncated": "truncated",
    "withheld_copyright": "withheld_copyright",
}
_USER_TEXTS = {
    "id_str": "from_user_id",
    "screen_name": "from_user_name",
    "name": "from_user_realname",
    "description": "from_user_description",
    "url": "from_user_url",
    "profile_image_url": "from_user_profile_image_url",
    "time_zone": "from_user_timezone",
    "lang": "from_user_lang",
    "location": "location",
    "withheld_scope": "from_user_withheld_scope",
    "created_at": "from_user_created_at",
}
_USER_NUMBERS = {
    "utc_offset": "from_user_utcoffset",
    "statuses_count": "from_user_tweetcount",
    "followers_count": "from_user_followercount",
    "friends_count": "from_user_friendcount",
    "favourites_count": "from_user_favourites_count",
    "listed_count": "from_user_listed",
}
_USER_TRUTHS = {"verified": "from_user_verified"}


class Table:
    """The rows below a header."""

    def __init__(self, header: bytes) -> None:
        """Raises ValueError where the header is none of DMI-TCAT's."""
        line = header.decode("utf-8", "replace").removeprefix(_BOM).rstrip("\r\n")
        self._delimiter = "\t" if "\t" in line else ","
        self._names = [name.strip('"') for name in line.split(self._delimiter)]
        if missing := {"id", "created_at", "from_user_name", "text"} - set(self._names):
            raise ValueError(f"no table of DMI-TCAT: it has no column {min(missing)}")

    def status(self, line: bytes) -> bytes:
        """A row as the JSON of a v1.1 status, with what is known of it. Raises ValueError where it is no such row."""
        row = dict(zip(self._names, self._values(line.decode()), strict=True))
        get = row.get
        status = _told(get, _TEXTS, _NUMBERS, _TRUTHS)
        if not re.fullmatch(r"[1-9][0-9]*", status.get("id_str", "")):
            # A spreadsheet saves 2.6E+17: by that all posts of a year would be one.
            raise ValueError("a row whose id is no whole number")
        # As X has it: what reads a v1.1 status takes the escapes away.
        status["text"] = row["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        status["user"] = _told(get, _USER_TEXTS, _USER_NUMBERS, _USER_TRUTHS)
        status["entities"] = _entities(get)
        if (position := _position(get("lat"), get("lng"))) is not None:
            status["coordinates"] = {"type": "Point", "coordinates": position}
        return orjson.dumps(status)

    def _values(self, line: str) -> list[str]:
        try:
            values = next(csv.reader([line], delimiter=self._delimiter, strict=True), [])
        except csv.Error:
            values = []
        if len(values) != len(self._names):
            values = self._by_php(line)
        if len(values) != len(self._names):
            raise ValueError(f"a row of {len(values)} values below a header of {len(self._names)}")
        return values

    def _by_php(self, line: str) -> list[str]:
        """The values as PHP's own reader finds them."""
        values, at = [], 0
        while at <= len(line):
            if (quoted := _QUOTED.match(line, at)) is not None:
                values.append(_DOUBLED.sub(lambda found: found[1] or '"', quoted[1]))
                at = quoted.end()
            elif line.startswith('"', at):
                return []
            else:
                end = line.find(self._delimiter, at)
                end = len(line) if end < 0 else end
                values.append(line[at:end])
                at = end
            if at < len(line) and line[at] != self._delimiter:
                return []
            at += 1
        return values


def _told(
    get: Callable[[str], str | None], texts: dict[str, str], numbers: dict[str, str], truths: dict[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name, column in texts.items() if (value := get(column))}
    for name, column in numbers.items():
        value = get(column) or ""
        if value.removeprefix("-").isdecimal() and len(value) < 19:
            found[name] = int(value)
    found |= {name: value == "1" for name, column in truths.items() if (value := get(column)) in ("0", "1")}
    return found


def _entities(get: Callable[[str], str | None]) -> dict[str, Any]:
    """What the columns that a person asked for in the export say."""
    short, whole = _listed(get("urls")), _listed(get("urls_expanded"))
    media = [address for address in _listed(get("media_urls")) if address]
    told = {
        "hashtags": [{"text": tag} for tag in _listed(get("hashtags")) if tag],
        "user_mentions": [{"screen_name": name} for name in _listed(get("mentions")) if name],
        "urls": [
            {"url": url or full, "expanded_url": full or url}
            for url, full in zip_longest(short, whole, fillvalue="")
            if (url or full) and not _MEDIUM.search(full)
        ],
        "media": [{"media_url_https": address} for address in media],
    }
    return {name: items for name, items in told.items() if items}


def _listed(value: str | None) -> list[str]:
    return value.split("; ") if value else []


def _position(latitude: str | None, longitude: str | None) -> list[float] | None:
    try:
        south_north, west_east = float(latitude or 0), float(longitude or 0)
    except ValueError:
        return None
    return [west_east, south_north] if south_north or west_east else None
