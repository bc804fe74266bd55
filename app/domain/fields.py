"""Type-safe reads out of a stranger's JSON: a value that has not the expected type counts as absent.

So an odd field costs its own column and never the post. Types are compared exactly (`type(x) is`): a parser makes no
subclasses, a bool must not pass as an int, and it is the fastest check there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import orjson

Value: TypeAlias = str | int | bool | list[str] | None

_INT32 = 1 << 31  # CQL's int
_PICTURE = ("pic.twitter.com/", "pic.x.com/")
_READ_MORE = ("https://twitter.com/i/web/status/", "https://x.com/i/web/status/")
_TRUTHS = {"true": True, "True": True, "false": False, "False": False}


def record(value: object) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if type(value) is dict else {}


def records(value: object) -> list[dict[str, Any]]:
    """The objects of a list; nothing where it is no list."""
    return [item for item in value if type(item) is dict] if type(value) is list else []


def text(value: object) -> str | None:
    """The text; None for an empty one too: v1.1 sends null where v2 sends "" for a profile field not filled in."""
    return value if type(value) is str and value else None


def texts(values: Iterable[object]) -> list[str | None]:
    """`text` of each value, without a call each."""
    return [value if type(value) is str and value else None for value in values]


def number(value: object) -> int | None:
    """The integer if CQL's int (32 bits, signed) can hold it."""
    return value if type(value) is int and -_INT32 <= value < _INT32 else None


def numbers(values: Iterable[object]) -> list[int | None]:
    """`number` of each value, without a call each."""
    return [value if type(value) is int and -_INT32 <= value < _INT32 else None for value in values]


def truth(value: object) -> bool | None:
    """The boolean, also where a tool has written it as a string. Any other string is unknown, not true."""
    if type(value) is bool:
        return value
    return _TRUTHS.get(value) if type(value) is str else None


def identity(id_text: object, id_number: object) -> str | None:
    """An id as text. The text form is believed first: JavaScript tools round the number."""
    if type(id_text) is str and id_text:
        return id_text
    if type(id_number) is int:
        return str(id_number)
    return text(id_number)


def unescaped(escaped: str) -> str:
    """Text as its author wrote it. X escapes exactly &, < and > in the text of a post (v1.1 and v2)."""
    if "&" not in escaped:
        return escaped
    return escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def completed(own: str, original: str) -> str | None:
    """A retweet's text with the retweeted post's whole text in it, or None where nothing is cut.

    A retweet's own text is "RT @name: " and the original's, cut to 140 characters with "…" or "… https://t.co/…".
    """
    head, colon, rest = own.partition(": ")
    if not colon or not head.startswith("RT @") or rest == original:
        return None
    if len(rest) < len(original) or (original and rest.endswith("…")):
        return f"{head}: {original}"
    return None


def joined(values: list[str | None]) -> str | None:
    """Values in their order, joined by ", ", an unknown one as an empty string; None where none is known."""
    if None not in values:
        return ", ".join(values) or None  # type: ignore[arg-type]
    return ", ".join([value or "" for value in values]) if any(values) else None


def links(urls: list[dict[str, Any]]) -> list[str] | None:
    """Expanded addresses of `entities.urls` (v1.1 and v2), else the short ones, without those that the platform adds.

    These are a cut post's link to its whole, and media: v2 lists them among the links, with a `media_key` or at least
    the display form "pic.twitter.com/…". `unwound_url` is not used: it is there for some links only, so one column
    would mix two meanings.
    """
    found = []
    for url in urls:
        shown = url.get("display_url")
        if "media_key" in url or (type(shown) is str and shown.startswith(_PICTURE)):
            continue
        address = text(url.get("expanded_url")) or text(url.get("url"))
        if address is not None and not address.startswith(_READ_MORE):
            found.append(address)
    return found or None


def point(longitude: object, latitude: object) -> str | None:
    """GeoJSON text of a Point (RFC 7946: longitude first), None unless both are degrees."""
    if not _is_position(longitude, latitude):
        return None
    return orjson.dumps({"type": "Point", "coordinates": [longitude, latitude]}).decode()


def polygon(corners: Iterable[object]) -> str | None:
    """GeoJSON text of a Polygon with one closed ring, None unless there are three corners of [longitude, latitude]."""
    ring: list[list[object]] = []
    for corner in corners:
        if type(corner) is not list or len(corner) != 2 or not _is_position(*corner):
            return None
        ring.append(corner)
    if len(ring) < 3:
        return None
    if len(ring) == 3 or ring[0] != ring[-1]:
        ring.append(ring[0])
    return orjson.dumps({"type": "Polygon", "coordinates": [ring]}).decode()


def pair(value: object) -> tuple[object, object]:
    """The two items of a list of two, else two Nones."""
    return (value[0], value[1]) if type(value) is list and len(value) == 2 else (None, None)


def _is_position(longitude: object, latitude: object) -> bool:
    return (
        type(longitude) in (int, float)
        and type(latitude) in (int, float)
        and -180 <= longitude <= 180  # type: ignore[operator]
        and -90 <= latitude <= 90  # type: ignore[operator]
    )
