"""The columns of an X API v2 post: a `data` object with its `includes`.

Source of the facts: X's "X API v2 data dictionary" (Tweet, User, Media, Place objects) and "Fields and expansions".
What v2 no longer tells (favorited, retweeted, the user's language, time zone and geo switch) stays None.
"""

from __future__ import annotations

from app.domain.fields import (
    Value,
    completed,
    identity,
    joined,
    links,
    number,
    pair,
    point,
    polygon,
    record,
    records,
    text,
    unescaped,
)
from app.domain.moments import moment
from app.domain.posts import Json, Post, created_ms

Items = dict[str, Json]


def normalize_v2(post: Post) -> list[Value]:
    """Values of POST_COLUMNS and OUR_POST_COLUMNS, in their order. Raises nothing."""
    body, includes = post.body, post.includes
    users = includes.get("users", {})
    referred = _references(body)
    original = includes.get("tweets", {}).get(referred.get("retweeted") or "")
    told, entities = _whole(body)
    mentions = records(entities.get("mentions"))
    if original is not None:
        whole, its_entities = _whole(original)
        if (full := completed(told, whole)) is not None:
            told, entities = full, its_entities
            mentions = _merged(mentions, records(its_entities.get("mentions")))
    metrics = record(body.get("public_metrics"))
    exact, area, place = _geography(body, includes.get("places", {}))
    media = includes.get("media", {})
    return [
        post.id,
        [tag for item in records(entities.get("hashtags")) if (tag := text(item.get("tag")))] or None,
        _media(body, media) or (_media(original, media) if original is not None else None),
        exact,
        created_ms(post),
        number(metrics.get("like_count")),
        None,
        area,
        "retweeted" in referred,
        text(body.get("lang")),
        number(metrics.get("retweet_count")),
        None,
        unescaped(told),
        *_user(body, users),
        *_mentioned(mentions, users),
        links(records(entities.get("urls"))),
        place,
        referred.get("quoted"),
        referred.get("replied_to"),
        referred.get("retweeted"),
    ]


def _references(body: Json) -> dict[str, str | None]:
    """Referenced posts: type (retweeted, quoted, replied_to) -> id; a post has at most one of each."""
    found: dict[str, str | None] = {}
    for item in records(body.get("referenced_tweets")):
        if kind := text(item.get("type")):
            found.setdefault(kind, identity(None, item.get("id")))
    return found


def _whole(body: Json) -> tuple[str, Json]:
    """The whole text with the entities that describe it: of `note_tweet` (posts beyond 280 characters) where given."""
    note = record(body.get("note_tweet"))
    if type(told := note.get("text")) is str:
        return told, record(note.get("entities") or body.get("entities"))
    told = body.get("text")
    return told if type(told) is str else "", record(body.get("entities"))


def _media(body: Json, media: Items) -> str | None:
    keys = record(body.get("attachments")).get("media_keys")
    for key in keys if type(keys) is list else ():
        item = media.get(identity(None, key) or "")
        # A video and an animated GIF have no url of their own, only that of their first picture.
        if item and (address := text(item.get("url")) or text(item.get("preview_image_url"))):
            return address
    return None


def _merged(mentions: list[Json], more: list[Json]) -> list[Json]:
    """A retweet's mentions (the retweeted author first), then those that only the whole text holds."""
    known = {text(mention.get("username")) for mention in mentions}
    return mentions + [mention for mention in more if text(mention.get("username")) not in known]


def _mentioned(mentions: list[Json], users: Items) -> tuple[str | None, str | None, str | None]:
    ids: list[str | None] = []
    names: list[str | None] = []
    screen_names: list[str | None] = []
    for mention in mentions:
        username = text(mention.get("username"))
        user_id = identity(None, mention.get("id"))
        user = users.get(user_id) if user_id else _by_username(username, users)
        user = user or mention  # twarc's flattened form merges the user into the mention
        ids.append(user_id or identity(None, user.get("id")))
        names.append(text(user.get("name")))
        screen_names.append(username or text(user.get("username")))
    return joined(ids), joined(names), joined(screen_names)


def _by_username(username: str | None, users: Items) -> Json | None:
    """Mentions had no id before 2021."""
    return next((user for user in users.values() if username and user.get("username") == username), None)


def _user(body: Json, users: Items) -> list[Value]:
    user_id = identity(None, body.get("author_id"))
    user = (users.get(user_id) if user_id else None) or record(body.get("author"))
    metrics = record(user.get("public_metrics"))
    return [
        moment(user.get("created_at")),
        text(user.get("description")),
        number(metrics.get("like_count")),
        number(metrics.get("followers_count")),
        number(metrics.get("following_count")),
        None,
        user_id or identity(None, user.get("id")),
        None,
        number(metrics.get("listed_count")),
        text(user.get("location")),
        text(user.get("name")),
        text(user.get("username")),
        number(metrics.get("tweet_count")),
        None,
        text(user.get("url")),
        None,
    ]


def _geography(body: Json, places: Items) -> tuple[str | None, str | None, str | None]:
    """GeoJSON of the exact point, of the point or else the place's box, and the place's full name."""
    geo = body.get("geo")
    if type(geo) is not dict:
        return None, None, None
    place = places.get(identity(None, geo.get("place_id")) or "", {})
    name = text(place.get("full_name")) or text(place.get("name"))
    exact = point(*pair(record(geo.get("coordinates")).get("coordinates")))
    if exact is not None:
        return exact, exact, name
    box = record(place.get("geo")).get("bbox")
    if type(box) is not list or len(box) != 4:
        return None, None, name
    west, south, east, north = box
    return None, polygon([[west, south], [east, south], [east, north], [west, north]]), name
