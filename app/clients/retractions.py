"""What sources have taken back, as Cassandra keeps it: written down, held against what is to be stored, carried out.

Nothing is locked. Whoever stores posts notes the moment, looks for what was taken back, and writes as of that moment;
whoever carries out what was taken back writes that down first, and removes as of a later moment. So of the two one sees
the other, or Cassandra puts the removal above the row, whichever came first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from app.clients.cassandra import ASKED_ROWS, Rejected, Statement, Writer, ms_of
from app.domain.counting import Fate, Seen
from app.domain.partitioning import moment_of
from app.domain.retracting import (
    Retraction,
    account_of,
    fate_in,
    mark_of,
    part_of_account,
    part_of_post,
    scrubbed,
    stronger,
)
from app.domain.rows import Key, Row, author_of
from app.domain.standing import Standing

_ID = 2  # of the columns of a stored post


class StoredPost(Struct, frozen=True):
    """A stored post of an event: what was counted of it, and how it came."""

    code: str
    bucket: str
    id: str
    created_ms: int | None
    language: str | None
    hashtags: tuple[str, ...]
    links: tuple[str, ...]
    name: str | None  # of the account
    account: str | None  # its id
    matched: tuple[str, ...]
    way: Standing
    source: str
    mark: str | None

    @property
    def key(self) -> tuple[str, str]:
        """Event and post."""
        return self.code, self.id

    def seen(self, fate: Fate) -> Seen:
        """What was counted of it, with what becomes of it and has become of it before."""
        return Seen(
            raw_partition=0,
            position=(0, 0, 0),
            created_ms=self.created_ms,
            keywords=self.matched,
            language=self.language,
            hashtags=self.hashtags,
            account=self.name or self.account,
            source=self.source,
            links=self.links,
            author=author_of(self.account, self.name),
            received_ms=self.way.received_at,
            fate=fate,
            was=fate_in(self.mark),
        )


class Sentence(Struct, frozen=True):
    """What is to become of a stored post, and by what."""

    post: StoredPost
    fate: Fate
    retraction: Retraction


async def note(writer: Writer, retraction: Retraction) -> None:
    """Write down what a source takes back, or that an account is there again; what was said later holds."""
    values: list[Any] = [retraction.part, retraction.subject]
    stamp = retraction.at * 1000
    if retraction.kind == "restored":
        await writer.perform("lift", [stamp, *values, "account", retraction.event])
        return
    values += [retraction.kind, retraction.event, retraction.up_to or None, retraction.why, retraction.source]
    await writer.perform("note", [*values, retraction.at, stamp])


async def stands(writer: Writer, retraction: Retraction) -> bool:
    """Whether it is still so, as far as it was written down."""
    found = await _noted(writer, retraction.part, [retraction.subject])
    return any(one.kind == retraction.kind and one.event == retraction.event for _, one in found)


async def taken_back(writer: Writer, rows: Iterable[Row]) -> dict[Key, Retraction]:
    """What of these posts of events was taken back, by key."""
    rows = list(rows)
    parts: dict[str, set[str]] = {}
    for row in rows:
        parts.setdefault(part_of_post(row.post.id), set()).add(row.post.id)
        if account := account_of(row):
            parts.setdefault(part_of_account(account), set()).add(account)
    asked = [(part, some) for part, subjects in parts.items() for some in _pieces(sorted(subjects), ASKED_ROWS)]
    known: dict[str, list[Retraction]] = {}
    for found in await asyncio.gather(*[_noted(writer, part, some) for part, some in asked]):
        for subject, one in found:
            known.setdefault(subject, []).append(one)
    taken: dict[Key, Retraction] = {}
    for row in rows if known else ():
        for one in (*known.get(row.post.id, ()), *known.get(account_of(row), ())):
            if one.concerns(row.code, row.post.id, row.post.created_ms):
                taken[row.key] = stronger(one, taken.get(row.key))
    return taken


async def _noted(writer: Writer, part: str, subjects: Sequence[str]) -> list[tuple[str, Retraction]]:
    try:
        answer = await writer.perform("noted", [part, list(subjects)])
    except Rejected:
        if len(subjects) == 1:
            return []  # nothing can stand under such an id
        halves = [await _noted(writer, part, [subject]) for subject in subjects]
        return [entry for some in halves for entry in some]
    is_post = part.startswith("post")
    return [
        (
            subject,
            Retraction(
                kind=kind,
                at=ms_of(told_at),
                post=subject if is_post else "",
                account="" if is_post else subject,
                up_to=up_to or "",
                why=why or "",
                source=source or "",
                event=event,
            ),
        )
        for subject, kind, event, up_to, why, source, told_at in answer
    ]


async def stored_of(writer: Writer, retraction: Retraction, wanted: Callable[[str], bool]) -> list[StoredPost]:
    """The stored posts that it is about, of all events, whose ids are wanted: an account may have very many."""
    name, subject = ("of post", retraction.post) if retraction.post else ("of account", retraction.account)
    found: list[StoredPost] = []
    try:
        async for page in writer.pages(name, [subject]):
            posts = (_stored(values) for values in page if wanted(values[_ID]))
            found += [post for post in posts if retraction.concerns(post.code, post.id, post.created_ms)]
    except Rejected:
        return []
    return found


def _stored(values: Sequence[Any]) -> StoredPost:
    code, bucket, post_id, created, language, hashtags, links, name, account, matched = values[:10]
    source, origin, version, received, mark = values[10:]
    return StoredPost(
        code,
        bucket,
        post_id,
        None if created is None else ms_of(created),
        language,
        tuple(hashtags or ()),
        tuple(links or ()),
        name,
        account,
        tuple(matched or ()),
        Standing(origin or "", version or 0, ms_of(received)),
        source or "",
        mark,
    )


async def carry_out(writer: Writer, sentence: Sentence) -> None:
    """Write down what becomes of a stored post, and do it. Doing it twice is doing it once.

    All at once: a post that is redacted and not marked yet would not be found by its account again.
    """
    post, fate = sentence.post, sentence.fate
    key = post.code, post.bucket, post.id
    stamp = time.time_ns() // 1000
    some = [_entry(key, fate, sentence.retraction, post.way), *_losses(key, fate, post.created_ms, stamp)]
    if fate == "scrubbed":
        for (raw,) in await writer.perform("raw", [*key]):
            some.append(("write raw", [stamp, scrubbed((raw or "").encode()).decode(), *key]))
    if fate != "removed":
        mark = "mark redacted" if fate == "redacted" else "mark"
        some.append((mark, [stamp, mark_of(fate, sentence.retraction), *key]))
    await writer.perform_together(some)


async def meet(writer: Writer, row: Row, retraction: Retraction) -> None:
    """Write down what became of a post when it came, since it was taken back before.

    What of it may not be stored, another process may be about to store, and the index may hold: it reads the same
    records by itself, and may have been here before the word that takes the post back was written down.
    """
    assert row.fate is not None  # noqa: S101 -- it was treated
    await writer.list_bucket(row)
    line = row.line
    entry = _entry(row.key, row.fate, retraction, Standing(line.origin, row.version, line.received_at))
    losses = _losses(row.key, row.fate, row.post.created_ms, time.time_ns() // 1000)
    await writer.perform_together([entry, *losses])


def _entry(key: Key, fate: Fate, retraction: Retraction, way: Standing) -> Statement:
    now = time.time_ns() // 1_000_000
    told = [fate, retraction.kind, retraction.why, retraction.at, now]
    return "enter", [*key, *told, way.origin, way.version, way.received_at]


def _losses(key: Key, fate: Fate, created_ms: int | None, stamp: int) -> list[Statement]:
    """What removes what a post loses by its fate."""
    if fate == "scrubbed":
        return [("scrub", [stamp, *key])]
    if fate == "held":
        return []
    code, bucket, post_id = key
    terms = [stamp, code, bucket, moment_of(post_id, created_ms) or 0, post_id]
    lost: list[Statement] = [("remove raw", [stamp, *key]), ("remove terms", terms)]
    if fate == "redacted":
        return [*lost, ("redact", [stamp, *key])]
    return [*lost, ("remove notes", [stamp, *key]), ("remove", [stamp, *key])]


async def entered(writer: Writer, rows: Iterable[Row]) -> dict[Key, Standing]:
    """How the posts of these rows came that were removed or kept out before, by key."""
    return {key: way for key, (way, fate) in (await _ways(writer, "entered", rows)).items() if fate == "removed"}


async def standing(writer: Writer, rows: Iterable[Row]) -> dict[Key, tuple[Standing, str]]:
    """How the posts of these rows came that are stored, and their marks ("": none), by key."""
    return await _ways(writer, "standing", rows)


async def _ways(writer: Writer, name: str, rows: Iterable[Row]) -> dict[Key, tuple[Standing, str]]:
    groups: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        groups.setdefault((row.code, row.bucket), set()).add(row.post.id)
    asked = [(*key, some) for key, ids in groups.items() for some in _pieces(sorted(ids), ASKED_ROWS)]
    found: dict[Key, tuple[Standing, str]] = {}
    answers = await asyncio.gather(*[writer.perform(name, list(one)) for one in asked])
    for (code, bucket, _), answer in zip(asked, answers, strict=True):
        for post_id, origin, version, received, mark in answer:
            found[code, bucket, post_id] = Standing(origin or "", version or 0, ms_of(received)), mark or ""
    return found


def _pieces(items: list[str], most: int) -> Iterator[list[str]]:
    for at in range(0, len(items), most):
        yield items[at : at + most]
