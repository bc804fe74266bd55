"""The columns of a v1.1 status: streaming (compat and extended), REST (`full_text`), search and timelines.

Source of the facts: X's "Data dictionary: Standard v1.1" (Tweet, User, Entities, Geo objects) and "Tweet updates"
(extended tweets).
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain.fields import (
    Value,
    completed,
    identity,
    joined,
    links,
    number,
    numbers,
    pair,
    point,
    polygon,
    record,
    records,
    text,
    texts,
    truth,
    unescaped,
)
from app.domain.moments import moment
from app.domain.posts import Json, Post, created_ms


def normalize_v1(post: Post) -> list[Value]:
    """Values of POST_COLUMNS and OUR_POST_COLUMNS, in their order. Raises nothing."""
    body = post.body
    get = body.get
    told, source = _whole(body)
    entities = record(source.get("entities") or get("entities"))
    mentions = records(entities.get("user_mentions"))
    retweeted = get("retweeted_status")
    if type(retweeted) is dict:
        original, its_source = _whole(retweeted)
        if (full := completed(told, original)) is not None:
            told, source = full, its_source
            entities = record(source.get("entities") or retweeted.get("entities"))
            mentions = _merged(mentions, records(entities.get("user_mentions")))
    place = get("place")
    exact, area = (None, None) if place is None and get("coordinates") is None is get("geo") else _geography(body)
    user = get("user")
    urls = entities.get("urls")
    return [
        post.id,
        _hashtags(tags) if (tags := entities.get("hashtags")) else None,
        _media(source, retweeted, body),
        exact,
        created_ms(post) if (at := moment(get("created_at"))) is None else at,
        number(get("favorite_count")),
        truth(get("favorited")),
        area,
        type(retweeted) is dict,
        text(get("lang")),
        number(get("retweet_count")),
        truth(get("retweeted")),
        told if "&" not in told else unescaped(told),
        *(_user(user.get) if type(user) is dict else _NO_USER),
        *(_mentioned(mentions) if mentions else _NO_MENTIONS),
        links(records(urls)) if urls else None,
        _place_name(place) if place is not None else None,
        identity(get("quoted_status_id_str"), get("quoted_status_id")) or _id(get("quoted_status")),
        identity(get("in_reply_to_status_id_str"), get("in_reply_to_status_id")),
        _id(retweeted),
    ]


_NO_USER: list[Value] = [None] * 16
_NO_MENTIONS: tuple[None, None, None] = (None, None, None)


def _whole(status: Json) -> tuple[str, Json]:
    """The whole text, and the object whose entities describe it: `extended_tweet` where there is one, or the status."""
    extended = status.get("extended_tweet")
    if type(extended) is dict and type(told := extended.get("full_text")) is str:
        return told, extended
    for key in ("full_text", "text"):
        if type(told := status.get(key)) is str:
            return told, status
    return "", status


def _media(*sources: object) -> str | None:
    """Address of the first medium of the first source that has one.

    `entities` and `extended_entities` begin with the same; the latter alone is told by some tools.
    """
    for source in sources:
        if type(source) is dict:
            for key in ("entities", "extended_entities"):
                if type(holder := source.get(key)) is dict and "media" in holder:
                    for item in records(holder["media"]):
                        if address := text(item.get("media_url_https")) or text(item.get("media_url")):
                            return address
    return None


def _merged(mentions: list[Json], more: list[Json]) -> list[Json]:
    """A retweet's mentions (the retweeted author first), then those that only the whole text holds."""
    known = {_id(mention) for mention in mentions}
    return mentions + [mention for mention in more if _id(mention) not in known]


def _hashtags(given: object) -> list[str] | None:
    return [tag for item in records(given) if (tag := text(item.get("text")))] or None


def _mentioned(mentions: list[Json]) -> tuple[str | None, str | None, str | None]:
    return (
        joined([identity(item.get("id_str"), item.get("id")) for item in mentions]),
        joined(texts([item.get("name") for item in mentions])),
        joined(texts([item.get("screen_name") for item in mentions])),
    )


def _id(status: object) -> str | None:
    return identity(status.get("id_str"), status.get("id")) if type(status) is dict else None


_USER_TEXTS = ("description", "lang", "location", "name", "screen_name", "time_zone", "url")
_USER_NUMBERS = (
    "favourites_count",
    "followers_count",
    "friends_count",
    "listed_count",
    "statuses_count",
    "utc_offset",
)


def _user(get: Callable[[str], object]) -> list[Value]:
    description, lang, location, name, screen_name, time_zone, url = texts(map(get, _USER_TEXTS))
    favourites, followers, friends, listed, statuses, utc_offset = numbers(map(get, _USER_NUMBERS))
    return [
        moment(get("created_at")),
        description,
        favourites,
        followers,
        friends,
        truth(get("geo_enabled")),
        identity(get("id_str"), get("id")),
        lang,
        listed,
        location,
        name,
        screen_name,
        statuses,
        time_zone,
        url,
        utc_offset,
    ]


def _geography(body: Json) -> tuple[str | None, str | None]:
    """GeoJSON of the exact point, and of the point or else the place's box.

    `coordinates` is GeoJSON; the older `geo` looks like it, but has the latitude first.
    """
    longitude, latitude = pair(record(body.get("coordinates")).get("coordinates"))
    exact = point(longitude, latitude)
    if exact is None:
        latitude, longitude = pair(record(body.get("geo")).get("coordinates"))
        exact = point(longitude, latitude)
    if exact is not None:
        return exact, exact
    rings = record(record(body.get("place")).get("bounding_box")).get("coordinates")
    ring = rings[0] if type(rings) is list and rings else None
    return None, polygon(ring) if type(ring) is list else None


def _place_name(given: object) -> str | None:
    place = record(given)
    return text(place.get("full_name")) or text(place.get("name"))
