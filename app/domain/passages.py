"""The places of a post in which keywords are looked for, as one folded text with a mark between passages.

Full text, expanded and display URLs, hashtags, mentions and the author's screen name, of the post itself and of
the post that it retweets or quotes. Links that the platform adds (its own photo and "read more" links) are nobody's
words and left out; so is the word that the platform cut at the end of a retweet's copy or of a display URL.
"""

from __future__ import annotations

from typing import Any

from app.domain.facets import facets_of
from app.domain.fields import record, records
from app.domain.keywords import fold
from app.domain.posts import Json, Post

SEPARATOR = "\x1f"
PLACES = ("text", "url", "hashtag", "mention", "screen_name")
FIELDS = tuple(prefix + place for prefix in ("", "retweeted_", "quoted_") for place in PLACES)
OWN, RETWEETED, QUOTED = 0, 5, 10
_TEXT, _URL, _HASHTAG, _MENTION, _SCREEN_NAME = range(5)
_READ_MORE_PATH = ".com/i/web/status/"
_READ_MORE = (f"https://twitter{_READ_MORE_PATH}", f"https://x{_READ_MORE_PATH}")
_CUT = "…"


def read_passages(post: Post) -> tuple[str, list[int]]:
    """Folded text of all passages and, for each, the index of its name in FIELDS, of any post at all."""
    try:
        return passages(post)
    except (TypeError, AttributeError, KeyError):
        return passages_of_odd(post)


def passages(post: Post) -> tuple[str, list[int]]:
    """Folded text of all passages and, for each, the index of its name in FIELDS.

    Raises TypeError, AttributeError or KeyError on a post with fields of odd types; see `passages_of_odd`.
    """
    parts: list[str] = []
    fields: list[int] = []
    if post.wire == "v1":
        _v1(post.body, OWN, parts, fields)
    elif post.wire == "bluesky":
        _bluesky(record(post.body.get("record")), parts, fields)
    else:
        _v2(post.body, OWN, post.includes, parts, fields)
    return _joined(parts), fields


def _joined(parts: list[str]) -> str:
    text = SEPARATOR.join(parts)
    if text.count(SEPARATOR) >= len(parts) > 0:
        text = SEPARATOR.join([part.replace(SEPARATOR, " ") for part in parts])
    text = fold(text)
    if "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return text


def _v1(status: Json, base: int, parts: list[str], fields: list[int]) -> None:  # noqa: PLR0912 -- calls cost most here
    get = status.get
    retweeted = get("retweeted_status") if base == OWN else None
    extended = get("extended_tweet")
    if extended:
        text = extended["full_text"]
        entities = extended.get("entities") or get("entities")
    else:
        text = get("full_text") or status["text"]
        entities = get("entities")
    parts.append(_whole_words(text) if retweeted and text.endswith(_CUT) else text)
    fields.append(base)
    if entities:
        if urls := entities.get("urls"):
            for url in urls:
                _url(url, base + _URL, parts, fields)
        if hashtags := entities.get("hashtags"):
            for hashtag in hashtags:
                parts.append("#" + hashtag["text"])
                fields.append(base + _HASHTAG)
        if mentions := entities.get("user_mentions"):
            for mention in mentions:
                parts.append("@" + mention["screen_name"])
                fields.append(base + _MENTION)
    user = get("user")
    if user and "screen_name" in user:
        parts.append("@" + user["screen_name"])
        fields.append(base + _SCREEN_NAME)
    if base == OWN:
        quoted = get("quoted_status")
        if retweeted:
            _v1(retweeted, RETWEETED, parts, fields)
            quoted = quoted or retweeted.get("quoted_status")
        if quoted:
            _v1(quoted, QUOTED, parts, fields)


def _whole_words(cut: str) -> str:
    """The copy of a retweet without its last word, of which the platform cut off an end that the original has."""
    return cut[: cut.rfind(" ") + 1]


def _url(url: Json, field: int, parts: list[str], fields: list[int]) -> None:
    expanded = url.get("expanded_url")
    display = url.get("display_url")
    if expanded:
        if expanded.startswith(_READ_MORE):
            return
        parts.append(expanded)
        fields.append(field)
        # As a rule it is the other one without https://, cut at 27 characters.
        if not display or display[-1] == _CUT or expanded.endswith("/" + display):
            return
    if display:
        parts.append(display)
        fields.append(field)


def _v2(body: Json, base: int, includes: dict[str, dict[str, Json]], parts: list[str], fields: list[int]) -> None:
    others = referenced(body, includes) if base == OWN else []
    note = body.get("note_tweet")
    long = note if note and "text" in note else body
    text = long["text"]
    is_cut = text.endswith(_CUT) and any(kind == "retweeted" for kind, _ in others)
    parts.append(_whole_words(text) if is_cut else text)
    fields.append(base)
    entities = long.get("entities") or body.get("entities") or {}
    for url in entities.get("urls") or ():
        if "media_key" not in url:
            _url(url, base + _URL, parts, fields)
    for mark, kind, key, place in (
        ("#", "hashtags", "tag", _HASHTAG),
        ("$", "cashtags", "tag", _HASHTAG),
        ("@", "mentions", "username", _MENTION),
    ):
        for entity in entities.get(kind) or ():
            parts.append(mark + entity[key])
            fields.append(base + place)
    author = _author(body, includes)
    if author:
        parts.append(author)
        fields.append(base + _SCREEN_NAME)
    for kind, inner in others:
        _v2(inner, RETWEETED if kind == "retweeted" else QUOTED, includes, parts, fields)


def _bluesky(post: Json, parts: list[str], fields: list[int]) -> None:
    """A record holds neither its author's handle nor the post that it quotes."""
    facets = facets_of(post)
    parts.append(post["text"])
    parts += facets.links
    parts += ["#" + tag for tag in facets.tags]
    named = ["@" + handle for _, handle in facets.mentions if handle]
    parts += named
    fields += [OWN] + [_URL] * len(facets.links) + [_HASHTAG] * len(facets.tags) + [_MENTION] * len(named)


def _author(body: Json, includes: dict[str, dict[str, Json]]) -> str:
    name = includes.get("users", {}).get(str(body.get("author_id")), {}).get("username")
    return "@" + name if type(name) is str else ""


def referenced(body: Json, includes: dict[str, dict[str, Json]]) -> list[tuple[str, Json]]:
    """The posts that a v2 post retweets or quotes (also: that the retweeted one quotes), where they are included."""
    found: list[tuple[str, Json]] = []
    for kind, inner in _references(body, includes):
        found.append((kind, inner))
        if kind == "retweeted":
            found += [(deeper, post) for deeper, post in _references(inner, includes) if deeper == "quoted"]
    return found


def _references(body: Json, includes: dict[str, dict[str, Json]]) -> list[tuple[str, Json]]:
    posts = includes.get("tweets", {})
    return [
        (reference["type"], posts[str(reference.get("id"))])
        for reference in records(body.get("referenced_tweets"))
        if reference.get("type") in ("retweeted", "quoted") and str(reference.get("id")) in posts
    ]


# How `passages_of_odd` reads a field: where it leads, or what it holds.
_LEADS = {"retweeted_status": RETWEETED, "quoted_status": QUOTED}
_HOLDS = {
    "urls": (_URL, "", ("expanded_url", "display_url")),
    "hashtags": (_HASHTAG, "#", ("text", "tag")),
    "cashtags": (_HASHTAG, "$", ("tag",)),
    "user_mentions": (_MENTION, "@", ("screen_name",)),
    "mentions": (_MENTION, "@", ("username",)),
    "user": (_SCREEN_NAME, "@", ("screen_name",)),
}
_OWN_TEXT = (_TEXT, "", ("full_text", "text"))
_FOREIGN = ("place", "referenced_tweets", "media", "extended_entities")
_DEEPEST = 24


def passages_of_odd(post: Post) -> tuple[str, list[int]]:
    """As `passages`, for a post with fields of odd types: reads what is text and passes over the rest."""
    parts: list[str] = []
    fields: list[int] = []

    def walk(value: Any, base: int, holds: tuple[int, str, tuple[str, ...]], depth: int) -> None:
        if depth == _DEEPEST:
            return
        if isinstance(value, list):
            for item in value:
                walk(item, base, holds, depth + 1)
        elif isinstance(value, dict):
            place, mark, names = holds
            for key, inner in value.items():
                if isinstance(inner, str):
                    if key in names and not (place == _URL and _READ_MORE_PATH in inner):
                        parts.append(mark + inner)
                        fields.append(base + place)
                elif key not in _FOREIGN:
                    walk(inner, _LEADS.get(key, base), _HOLDS.get(key, holds), depth + 1)

    others = [
        (RETWEETED if kind == "retweeted" else QUOTED, inner) for kind, inner in referenced(post.body, post.includes)
    ]
    for base, body in [(OWN, post.body), *others]:
        walk(body, base, _OWN_TEXT, 0)
        if author := _author(body, post.includes):
            parts.append(author)
            fields.append(base + _SCREEN_NAME)
    return _joined(parts), fields
