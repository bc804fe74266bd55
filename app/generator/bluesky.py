"""Posts of Bluesky as Jetstream tells them, in both of its wires.

A record holds less than a post of X: not what it quotes, nor its author's name, and there are no retweets. So fewer
things are found in it, and accounts by their did alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import orjson

from app.generator import times
from app.generator.drafts import Draft, belongs_to
from app.generator.expected import Matched
from app.generator.parts import HASHTAG, MEDIA, MENTION, URL, Part
from app.generator.people import NOBODY, U_ID, Person
from app.generator.selectors import Selector

Wire: TypeAlias = Literal["v1", "v2"]

POSTS = "app.bsky.feed.post"
_EVENTS = "network.bsky.jetstream.subscribeEvents"
_DELAY_MS = 300  # from the post to the moment at which Jetstream sees it
_DAY_MS = 86_400_000
# Of 16 authors' programs one tells a time that cannot be, one none.
_CLOCKS, _AHEAD, _NONE = 16, 0, 1


def fits(draft: Draft) -> bool:
    """Whether it can be a post of Bluesky: no retweet, and no keyword of which a part stands where no record has it."""
    if draft.retweeted is not None:
        return False
    hidden = [draft.author, *([draft.quoted.author] if draft.quoted else [])]
    unseen = {number for person in hidden for number in person.selectors}
    if draft.quoted:
        unseen |= {number for part in draft.quoted.parts for number, _ in part.hits}
    return unseen.isdisjoint(number for part in _parts(draft) for number, _ in part.hits)


def line(draft: Draft, at_ms: int, wire: Wire, seq: int, operation: str = "create") -> bytes:
    """The post as a line of the stream, sent at this moment."""
    commit = _commit(draft.id, operation) | {"record": _record(draft, at_ms), "cid": _cid("bafyrei", draft.id)}
    return _framed("commit", did_of(draft.author), commit, at_ms, wire, seq)


def control(kind: str, author: Person, number: int, at_ms: int, wire: Wire, seq: int) -> bytes:
    """A message of another kind: of the author's post that was deleted, or of the account."""
    did = did_of(author)
    if kind == "delete":
        return _framed("commit", did, _commit(number, "delete"), at_ms, wire, seq)
    account = {"active": False, "did": did, "seq": seq, "status": "deactivated", "time": times.v2(at_ms)}
    return _framed("account", did, {"account": account}, at_ms, wire, seq)


def address(author: Person, number: int) -> str:
    """The id of the author's post that has this number elsewhere."""
    return f"at://{did_of(author)}/{POSTS}/{times.tid(number)}"


def did_of(person: Person) -> str:
    """The account's id: one that an event follows by such an id has it, any other gets one."""
    name = person.screen_name.lower()
    return name if name.startswith("did:") else f"did:plc:{person.id}"


def columns(draft: Draft, at_ms: int) -> tuple[Any, ...]:
    """The columns of the post's row, in their order."""
    parts = _parts(draft)
    author: list[str | None] = [*NOBODY]
    author[U_ID] = did_of(draft.author)
    tags = list(dict.fromkeys(part.value for part in parts if part.kind == HASHTAG))
    links = list(dict.fromkeys(part.value.expanded for part in parts if part.kind == URL))
    mentions = [part.value for part in parts if part.kind == MENTION]
    return (
        address(draft.author, draft.id),
        tags or None,
        _picture(draft),
        None,
        draft.at_ms if draft.id % _CLOCKS > _NONE else at_ms + _DELAY_MS,
        *(None,) * 3,
        False,
        draft.lang,
        *(None,) * 2,
        _text(parts),
        *author,
        ", ".join(_mentioned(value) for value in mentions) or None,
        None,
        ", ".join(_handle(value) for value in mentions) or None,
        links or None,
        None,
        address(draft.quoted.author, draft.quoted.id) if draft.quoted else None,
        address(draft.reply_to, draft.reply_id) if draft.reply_to else None,
        None,
    )


def events_of(draft: Draft, selectors: Sequence[Selector], languages: dict[str, tuple[str, ...]]) -> dict[str, Matched]:
    """The events that the post belongs to, with what matched where. Nobody whom an event follows is quoted here."""
    answered = _known_by_did(draft.reply_to) if draft.reply_to else None
    seen = msgspec.structs.replace(
        draft,
        author=_known_by_did(draft.author),
        parts=_parts(draft),
        quoted=None,
        reply_to=answered,
        spot=None,
    )
    return belongs_to(seen, None, selectors, languages, lang=draft.lang)


def _known_by_did(person: Person) -> Person:
    """The person as a record tells of them: without a name, and followed only by those who know the did."""
    own = f"from:{did_of(person)}"
    followed = tuple((code, selector) for code, selector in person.followed if selector == own)
    return msgspec.structs.replace(person, selectors=(), followed=followed)


def _parts(draft: Draft) -> tuple[Part, ...]:
    """What the text holds: pictures stand beside it, and so does the quoted post, whose link is the last part."""
    parts = draft.parts[:-1] if draft.quoted else draft.parts
    return tuple(part for part in parts if part.kind != MEDIA)


def _shown(part: Part) -> str:
    return f"@{_handle(part.value)}" if part.kind == MENTION else part.plain


def _text(parts: Sequence[Part]) -> str:
    return " ".join([_shown(part) for part in parts])


def _handle(mentioned: Any) -> str:
    _, screen_name, _ = mentioned
    return f"{screen_name}.example"


def _mentioned(value: Any) -> str:
    number, screen_name, _ = value
    return screen_name.lower() if screen_name.lower().startswith("did:") else f"did:plc:{number}"


def _record(draft: Draft, at_ms: int) -> dict[str, Any]:
    parts = _parts(draft)
    record: dict[str, Any] = {"$type": POSTS, "text": _text(parts), "langs": [draft.lang]}
    clock = draft.id % _CLOCKS
    if clock != _NONE:
        record["createdAt"] = times.v2(at_ms + _DAY_MS if clock == _AHEAD else draft.at_ms)
    if facets := _facets(parts):
        record["facets"] = facets
    if draft.reply_to:
        answered = {"uri": address(draft.reply_to, draft.reply_id), "cid": _cid("bafyrei", draft.reply_id)}
        record["reply"] = {"root": answered, "parent": answered}
    if embed := _embed(draft, parts):
        record["embed"] = embed
    return record


def _facets(parts: Sequence[Part]) -> list[dict[str, Any]]:
    found = []
    start = 0
    for part in parts:
        end = start + len(_shown(part).encode())
        feature: dict[str, Any] = {}
        if part.kind == HASHTAG:
            feature = {"$type": "app.bsky.richtext.facet#tag", "tag": part.value}
        elif part.kind == URL:
            feature = {"$type": "app.bsky.richtext.facet#link", "uri": part.value.expanded}
        elif part.kind == MENTION:
            feature = {"$type": "app.bsky.richtext.facet#mention", "did": _mentioned(part.value)}
        if feature:
            found.append({"index": {"byteStart": start, "byteEnd": end}, "features": [feature]})
        start = end + 1
    return found


def _embed(draft: Draft, parts: Sequence[Part]) -> dict[str, Any]:
    media = _media_embed(draft) or _page(parts)
    if not draft.quoted:
        return media
    reference = {"uri": address(draft.quoted.author, draft.quoted.id), "cid": _cid("bafyrei", draft.quoted.id)}
    quoted = {"$type": "app.bsky.embed.record", "record": reference}
    return {"$type": "app.bsky.embed.recordWithMedia", "record": quoted, "media": media} if media else quoted


def _media_embed(draft: Draft) -> dict[str, Any]:
    media = [part.value for part in draft.parts if part.kind == MEDIA]
    if not media:
        return {}
    if media[0].kind != "photo":
        return {"$type": "app.bsky.embed.video", "video": _blob(media[0].number, "video/mp4")}
    images = [{"alt": "", "image": _blob(one.number, "image/jpeg")} for one in media if one.kind == "photo"]
    return {"$type": "app.bsky.embed.images", "images": images}


def _picture(draft: Draft) -> str | None:
    for part in draft.parts:
        if part.kind == MEDIA:
            did, cid = did_of(draft.author), _cid("bafkrei", part.value.number)
            if part.value.kind == "photo":
                return f"https://cdn.bsky.app/img/feed_fullsize/plain/{did}/{cid}@jpeg"
            return f"https://video.bsky.app/watch/{did.replace(':', '%3A')}/{cid}/thumbnail.jpg"
    return None


def _page(parts: Sequence[Part]) -> dict[str, Any]:
    """The first link as a card, as most programs show it."""
    for part in parts:
        if part.kind == URL:
            external = {"uri": part.value.expanded, "title": "", "description": ""}
            return {"$type": "app.bsky.embed.external", "external": external}
    return {}


def _blob(number: int, kind: str) -> dict[str, Any]:
    return {"$type": "blob", "ref": {"$link": _cid("bafkrei", number)}, "mimeType": kind, "size": 1000}


def _cid(start: str, number: int) -> str:
    return f"{start}{number:052x}"


def _commit(number: int, operation: str) -> dict[str, Any]:
    key = times.tid(number)
    return {"rev": key, "operation": operation, "collection": POSTS, "rkey": key}


def _framed(kind: str, did: str, told: dict[str, Any], at_ms: int, wire: Wire, seq: int) -> bytes:
    seen_ms = at_ms + _DELAY_MS
    if wire == "v1":
        inner = {"commit": told} if kind == "commit" else told
        return orjson.dumps({"did": did, "time_us": seen_ms * 1000, "kind": kind} | inner)
    seen = {"seq": seq, "did": did, "time": times.v2(seen_ms), "witnessedAt": times.v2(seen_ms)}
    return orjson.dumps({"$type": "message", "payload": {"$type": f"{_EVENTS}#{kind}"} | seen | told})
