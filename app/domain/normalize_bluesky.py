"""The columns of a Bluesky post, as far as its record tells them.

Source of the facts: the lexicons app.bsky.feed.post and app.bsky.embed.*. A record names accounts by their did alone:
nothing of the author's profile is in it, nor are counts; these columns stay None.
"""

from __future__ import annotations

from urllib.parse import quote

from app.domain.facets import answered_by, facets_of, media_of, quoted_by
from app.domain.fields import Value, joined, record, records, text
from app.domain.posts_bluesky import created_bluesky_ms
from app.domain.wires import Json, Post


def normalize_bluesky(post: Post) -> list[Value]:
    """Values of POST_COLUMNS and OUR_POST_COLUMNS, in their order. Raises nothing."""
    body = post.body
    told = record(body.get("record"))
    did = text(body.get("did"))
    facets = facets_of(told)
    languages = told.get("langs")
    author: list[Value] = [None] * 16
    author[_U_ID] = did
    return [
        post.id,
        facets.tags or None,
        _media(media_of(told), did or ""),
        None,
        created_bluesky_ms(post),
        None,
        None,
        None,
        False,
        text(languages[0]) if type(languages) is list and languages else None,
        None,
        None,
        told["text"] if type(told.get("text")) is str else "",
        *author,
        joined([mentioned for mentioned, _ in facets.mentions]),
        None,
        joined([handle for _, handle in facets.mentions]),
        facets.links or None,
        None,
        quoted_by(told),
        answered_by(told),
        None,
    ]


_U_ID = 6  # where among the author's columns the id stands


def _media(embed: Json, did: str) -> str | None:
    """Address of the first image at Bluesky's own image server, or of a video's first picture."""
    for image in records(embed.get("images")):
        if cid := _blob(image.get("image")):
            return f"https://cdn.bsky.app/img/feed_fullsize/plain/{did}/{cid}@jpeg"
    if cid := _blob(embed.get("video")):
        return f"https://video.bsky.app/watch/{quote(did, safe='')}/{cid}/thumbnail.jpg"
    return None


def _blob(value: object) -> str | None:
    """The cid of a blob; the first posts of the network have it without `ref`."""
    blob = record(value)
    return text(record(blob.get("ref")).get("$link")) or text(blob.get("cid"))
