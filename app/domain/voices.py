"""Whose post it is, in the sense of X's `follow`: its author, whom it retweets, whom it answers; and its languages.

A post of Bluesky names accounts by their did alone. It also speaks for whom it quotes: repeating somebody without a
word of one's own makes no post there.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.facets import account_in, answered_by, quoted_by
from app.domain.fields import record
from app.domain.passages import referenced
from app.domain.posts import Json, Post


def voices(post: Post) -> Iterator[tuple[str, str]]:
    """Accounts (screen name in lower case, and id) and the part that each plays."""
    body = post.body
    if post.wire == "v1":
        yield from _names(body.get("user"), "author")
        yield from _names(record(body.get("retweeted_status")).get("user"), "retweeted")
        answered = body.get("in_reply_to_user_id_str") or body.get("in_reply_to_user_id")
        yield from _names({"id_str": answered, "screen_name": body.get("in_reply_to_screen_name")}, "reply_to")
        return
    if post.wire == "bluesky":
        yield from _dids(body)
        return
    users = post.includes.get("users", {})
    yield from _account(body.get("author_id"), users, "author")
    yield from _account(body.get("in_reply_to_user_id"), users, "reply_to")
    for kind, inner in referenced(body, post.includes):
        if kind == "retweeted":
            yield from _account(inner.get("author_id"), users, "retweeted")


def languages_of(post: Post) -> tuple[str, ...]:
    """The languages that the platform gives, in lower case: one at most, but on Bluesky the author may name several."""
    if post.wire == "bluesky":
        given = record(post.body.get("record")).get("langs")
        return tuple([lang.lower() for lang in given if isinstance(lang, str)]) if isinstance(given, list) else ()
    language = post.body.get("lang")
    return (language.lower(),) if isinstance(language, str) and language else ()


def _names(user: object, part: str) -> Iterator[tuple[str, str]]:
    names = record(user)
    for name in (names.get("id_str") or names.get("id"), names.get("screen_name")):
        if name:
            yield str(name).lower(), part


def _dids(commit: Json) -> Iterator[tuple[str, str]]:
    post = record(commit.get("record"))
    accounts = (commit.get("did"), account_in(answered_by(post)), account_in(quoted_by(post)))
    for did, part in zip(accounts, ("author", "reply_to", "quoted"), strict=True):
        if isinstance(did, str):
            yield did.lower(), part


def _account(user_id: object, users: dict[str, Json], part: str) -> Iterator[tuple[str, str]]:
    if not user_id:
        return
    account = str(user_id)
    yield account.lower(), part
    name = users.get(account, {}).get("username")
    if isinstance(name, str):
        yield name.lower(), part
