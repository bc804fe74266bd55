"""Authors in the shapes that sources have sent over the years, with the columns that must come of each."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
from msgspec import Struct

from app.generator import times
from app.generator.parts import IN_MENTION, MENTION, TEXT, Part, Taboo
from app.generator.words import NAMES, SYLLABLES, TOWNS

_FIRST_JOINED_MS = 1_230_768_000_000  # 2009
_LAST_JOINED_MS = 1_700_000_000_000
_ZONES = (("Bern", 3600), ("Eastern Time (US & Canada)", -18000), ("Tokyo", 32400), ("New Delhi", 19800))
_LANGUAGES = ("en", "de", "es", "ja", "pt", "th")
_DESCRIPTIONS = ("I bake & ride.", "Cats <3 \n second line", "“quotes” and, commas", "料理と音楽", "تصوير", "x" * 160)
NOBODY = (None,) * 16  # the columns of an author of whom a source says nothing
U_ID = 6  # where among them the id stands
# Of 100 people so many have profiles of each shape.
_SHAPES = ("full",) * 45 + ("later",) * 35 + ("bare",) * 10 + ("rounded",) * 7 + ("odd",) * 3


class Person(Struct, frozen=True, eq=False):
    """Somebody who posts. `v1`, `v2` are JSON; the tuples hold the columns u_created_at … u_utc_offset."""

    id: str
    screen_name: str
    name: str
    v1: orjson.Fragment
    v1_columns: tuple[Any, ...]
    v2: orjson.Fragment
    v2_columns: tuple[Any, ...]
    mention: Part
    selectors: tuple[int, ...] = ()  # keywords that the screen name is
    in_address: tuple[int, ...] = ()  # of these, the ones that an address with the name holds: those without @
    followed: tuple[tuple[str, str], ...] = ()  # events that want this account: code, selector


class _Profile(Struct):
    """A person before being written in either form. None: the source says nothing."""

    id: int
    screen_name: str
    name: str
    description: str | None
    location: str | None
    url: str | None
    joined_ms: int
    counts: list[int]  # followers, friends, listed, favourites, statuses
    zone: tuple[str, int] | None
    lang: str | None
    geo: bool
    shape: str


def crowd(rng: Random, taboo: Taboo, size: int) -> list[Person]:
    """So many people whose screen names hold no keyword."""
    found: dict[str, Person] = {}
    while len(found) < size:
        name = "".join(rng.choices(SYLLABLES, k=rng.randint(2, 3))) + rng.choice(("", "_", "_x")) + str(len(found))
        if rng.random() < 0.3:
            name = name.capitalize()
        if taboo.clean(name):
            found[name] = person(rng, name)
    return list(found.values())


def person(
    rng: Random,
    screen_name: str,
    *,
    number: int | None = None,
    selectors: tuple[int, ...] = (),
    in_address: tuple[int, ...] = (),
    followed: tuple[tuple[str, str], ...] = (),
) -> Person:
    """A person with a random profile."""
    shape = rng.choice(_SHAPES)
    older = shape == "full"
    profile = _Profile(
        id=number or rng.choice((rng.randrange(10_000, 2**31), rng.randrange(2**59, 2**60))),
        screen_name=screen_name,
        name=f"{rng.choice(NAMES)} {rng.randrange(100)}",
        description=None if shape == "bare" else rng.choice(_DESCRIPTIONS),
        location=None if shape == "bare" else rng.choice(TOWNS),
        url=f"https://t.co/u{rng.randrange(10**9):09}" if rng.random() < 0.5 else None,
        joined_ms=rng.randrange(_FIRST_JOINED_MS, _LAST_JOINED_MS) // 1000 * 1000,
        counts=[rng.randrange(10**digits) for digits in (5, 4, 3, 5, 6)],
        zone=rng.choice(_ZONES) if older else None,
        lang=rng.choice(_LANGUAGES) if older else None,
        geo=rng.random() < 0.3,
        shape=shape,
    )
    if shape == "odd":
        profile.counts[0] += 2**31  # beyond what the table's int holds
    hits = tuple((selector, TEXT | IN_MENTION) for selector in selectors)
    at_name = f"@{screen_name}"
    v1_id, v2_id, name = str(profile.id), str(profile.id), profile.name
    return Person(
        id=v1_id,
        screen_name=screen_name,
        name=name,
        v1=orjson.Fragment(orjson.dumps(_v1(profile))),
        v1_columns=_v1_columns(profile),
        v2=orjson.Fragment(orjson.dumps(_v2(profile))),
        v2_columns=_v2_columns(profile),
        mention=Part(at_name, at_name, MENTION, (v2_id, screen_name, name), hits),
        selectors=selectors,
        in_address=in_address,
        followed=followed,
    )


def rounded(number: int) -> int:
    """The number as a JavaScript tool writes it."""
    return int(float(number))


def _v1(profile: _Profile) -> dict[str, Any]:
    followers, friends, listed, favourites, statuses = profile.counts
    user = {
        "id": rounded(profile.id) if profile.shape == "rounded" else profile.id,
        "id_str": str(profile.id),
        "name": profile.name,
        "screen_name": profile.screen_name,
        "location": profile.location,
        "url": profile.url,
        "description": profile.description,
        "translator_type": "none",
        "protected": False,
        "verified": False,
        "followers_count": followers,
        "friends_count": friends,
        "listed_count": listed,
        "favourites_count": favourites,
        "statuses_count": statuses,
        "created_at": times.v1(profile.joined_ms),
        "utc_offset": profile.zone[1] if profile.zone else None,
        "time_zone": profile.zone[0] if profile.zone else None,
        "geo_enabled": profile.geo,
        "lang": profile.lang,
        "contributors_enabled": False,
        "is_translator": False,
        "profile_background_color": "F5F8FA",
        "profile_link_color": "1DA1F2",
        "profile_use_background_image": True,
        "profile_image_url": f"http://img.example/{profile.id}_normal.jpg",
        "profile_image_url_https": f"https://img.example/{profile.id}_normal.jpg",
        "default_profile": True,
        "default_profile_image": False,
        "following": None,
        "follow_request_sent": None,
        "notifications": None,
    }
    if profile.shape == "odd":
        del user["listed_count"], user["created_at"]
        user["geo_enabled"] = "maybe"
    return user


def _v1_columns(profile: _Profile) -> tuple[Any, ...]:
    odd = profile.shape == "odd"
    followers, friends, listed, favourites, statuses = profile.counts
    return (
        None if odd else profile.joined_ms,
        profile.description,
        favourites,
        None if odd else followers,
        friends,
        None if odd else profile.geo,
        str(profile.id),
        profile.lang,
        None if odd else listed,
        profile.location,
        profile.name,
        profile.screen_name,
        statuses,
        profile.zone[0] if profile.zone else None,
        profile.url,
        profile.zone[1] if profile.zone else None,
    )


def _v2(profile: _Profile) -> dict[str, Any]:
    followers, friends, listed, favourites, statuses = profile.counts
    metrics = {"followers_count": followers, "following_count": friends, "tweet_count": statuses}
    if profile.shape != "odd":
        metrics["listed_count"] = listed
    if profile.shape == "later":
        metrics["like_count"] = favourites
    user = {
        "id": str(profile.id),
        "username": profile.screen_name,
        "name": profile.name,
        "created_at": times.v2(profile.joined_ms),
        "description": profile.description or "",
        "url": profile.url or "",
        "protected": False,
        "verified": False,
        "profile_image_url": f"https://img.example/{profile.id}_normal.jpg",
        "public_metrics": metrics,
    }
    return user | {"location": profile.location} if profile.location else user


def _v2_columns(profile: _Profile) -> tuple[Any, ...]:
    odd = profile.shape == "odd"
    followers, friends, listed, favourites, statuses = profile.counts
    return (
        profile.joined_ms,
        profile.description,
        favourites if profile.shape == "later" else None,
        None if odd else followers,
        friends,
        None,
        str(profile.id),
        None,
        None if odd else listed,
        profile.location,
        profile.name,
        profile.screen_name,
        statuses,
        None,
        profile.url,
        None,
    )
