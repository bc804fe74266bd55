"""A post before it is written in a wire form, and what follows from it in every form: its events and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from app.generator.expected import Matched
from app.generator.parts import (
    HASHTAG,
    MEDIA,
    MENTION,
    QUOTED,
    RETWEETED,
    SCREEN_NAME,
    URL,
    Part,
    place_names,
    plain,
    shown,
)
from app.generator.people import Person
from app.generator.selectors import Selector
from app.generator.spots import Spot

COPY = 140  # characters of a retweet's own text, in every form


class Draft(Struct, eq=False):
    """A post. A retweet has no parts of its own: they are its original's."""

    id: int
    at_ms: int
    author: Person
    lang: str
    parts: tuple[Part, ...]
    likes: int = 0
    retweets: int = 0
    quoted: Draft | None = None
    quoted_is_gone: bool = False  # only its id is told
    retweeted: Draft | None = None
    reply_to: Person | None = None
    reply_id: int = 0
    spot: Spot | None = None
    is_plain: bool = False  # carries nothing of an event

    @property
    def quote(self) -> Draft | None:
        """The quoted post, where the source sends it along."""
        return None if self.quoted_is_gone else self.quoted


class Copy(Struct):
    """A retweet's own text: as much as fits of "RT @name: " and the original."""

    text: str
    parts: tuple[Part, ...]  # the parts that stand in it whole


def copy_of(original: Draft) -> Copy:
    """The text of a retweet of this post, cut where the platform cuts."""
    head = Part(f"RT {original.author.mention.shown}:", f"RT {original.author.mention.shown}:")
    whole = f"{head.shown} {shown(original.parts)}"
    author = original.author.mention
    if len(whole) <= COPY:
        return Copy(whole, (author, *original.parts))
    length = len(head.shown)
    kept = 0
    for part in original.parts:
        if part.cut or length + 1 + len(part.shown) > COPY - 2:
            break
        length += 1 + len(part.shown)
        kept += 1
    text = f"{head.shown} {shown(original.parts[:kept])}" if kept else head.shown
    following = original.parts[kept]
    rest = following.shown[: COPY - 2 - length] if following.loose else following.cut
    if length + len(rest) > COPY - 2:
        rest = ""
    return Copy(f"{text} {rest}…", (author, *original.parts[:kept]))


def belongs_to(
    draft: Draft,
    copy: Copy | None,
    selectors: Sequence[Selector],
    languages: dict[str, tuple[str, ...]],
    *,
    lang: str | None,
) -> dict[str, Matched]:
    """The events that the post belongs to, with what matched where. `languages` are those that restrict an event."""
    masks: dict[int, int] = {}
    for part in copy.parts if copy else draft.parts:
        for number, bits in part.hits:
            masks[number] = masks.get(number, 0) | bits
    for number in draft.author.selectors:
        masks[number] = masks.get(number, 0) | SCREEN_NAME
    original = draft.retweeted or draft
    if draft.retweeted:
        _note(masks, draft.retweeted, RETWEETED)
    if original.quote:
        _note(masks, original.quote, QUOTED)
    found: dict[str, Matched] = {}
    for number, mask in masks.items():
        for code, keyword in selectors[number].targets:
            found.setdefault(code, {})[keyword] = place_names(mask)
    for code, selector, part_played in _other_reasons(draft):
        found.setdefault(code, {}).setdefault(selector, part_played)
    if found and languages:
        return {code: matched for code, matched in found.items() if code not in languages or lang in languages[code]}
    return found


def _note(masks: dict[int, int], draft: Draft, shift: int) -> None:
    for part in draft.parts:
        for number, bits in part.hits:
            masks[number] = masks.get(number, 0) | bits << shift
    for number in draft.author.selectors:
        masks[number] = masks.get(number, 0) | SCREEN_NAME << shift


def _other_reasons(draft: Draft) -> Iterator[tuple[str, str, str]]:
    for code, selector in draft.author.followed:
        yield code, selector, "author"
    if draft.retweeted:
        for code, selector in draft.retweeted.author.followed:
            yield code, selector, "retweeted"
    if draft.reply_to:
        for code, selector in draft.reply_to.followed:
            yield code, selector, "reply_to"
    if draft.spot:
        for code, selector in draft.spot.boxes:
            yield code, selector, "place"


class Said(Struct):
    """What columns say of a post's text in both forms: it is the original's where the post is a retweet."""

    text: str
    hashtags: list[str] | None
    urls: list[str] | None
    mentions: tuple[str | None, str | None, str | None]  # ids, names, screen names
    media: str | None


def said_by(draft: Draft) -> Said:
    """The whole text and its entities."""
    original = draft.retweeted or draft
    text = plain(original.parts)
    hashtags: list[str] = []
    urls: list[str] = []
    mentions: list[Any] = []
    media = None
    if draft.retweeted:
        text = f"RT @{original.author.screen_name}: {text}"
        mentions.append(original.author.mention.value)
    for part in original.parts:
        if part.kind == HASHTAG:
            hashtags.append(part.value)
        elif part.kind == URL:
            urls.append(part.value.expanded)
        elif part.kind == MENTION:
            mentions.append(part.value)
        elif part.kind == MEDIA and media is None:
            media = part.value.url
    return Said(text, hashtags or None, urls or None, _joined(mentions), media)


def _joined(mentions: list[Any]) -> tuple[str | None, str | None, str | None]:
    if not mentions:
        return None, None, None
    return (
        ", ".join([number for number, _, _ in mentions]),
        ", ".join([name for _, _, name in mentions]),
        ", ".join([screen_name for _, screen_name, _ in mentions]),
    )
