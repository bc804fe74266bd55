"""What a person looks for among the stored posts of an event, and how the index is asked for it.

The index holds each post once, in the bucket of its row, by time; beside the terms of its words (`app.domain.words`)
those of what it is filtered by, each with a prefix that no word has. A search goes from the newest bucket to the
oldest; a cursor says where the next page begins, whatever was stored meanwhile.
"""

from __future__ import annotations

import binascii
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import sha256
from itertools import groupby

import msgspec
from msgspec import Struct

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.events import Event
from app.domain.keywords import MAX_KEYWORD, Keyword, fold, parse_keyword
from app.domain.matcher import Matcher
from app.domain.normalize import Value
from app.domain.passages import read_passages
from app.domain.posts import Post
from app.domain.voices import languages_of
from app.domain.words import needed, words

MAX_TAG = 50  # characters
MAX_TAGS = 5  # in one search
# Cassandra intersects the two rarest terms of a question and looks at each row for the others; the matcher has the last
# word. So a few words are enough, the longest ones: as a rule these are the rarest.
ASKED_WORDS = 4

_INDEX = {name: index for index, name in enumerate(POST_COLUMNS | OUR_POST_COLUMNS)}
_AUTHOR = (_INDEX["u_screen_name"], _INDEX["u_id"])
_LANGUAGE = _INDEX["t_lang"]


class Search(Struct, frozen=True, kw_only=True, dict=True):
    """What posts are looked for: those to which all of it applies. Made by `search`."""

    text: str = ""  # words as in a keyword: all must occur, those in quotes side by side
    keyword: str = ""  # of the event, that the post has matched
    language: str = ""
    account: str = ""  # name or id of the author
    tags: tuple[str, ...] = ()
    since: int | None = None  # milliseconds since 1970
    until: int | None = None  # the first that is too late

    @cached_property
    def words(self) -> Keyword | None:
        """The words as a keyword."""
        return parse_keyword(self.text) if self.text else None

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """What the index is asked for: every post that is looked for has all of them."""
        asked = [_tag(tag) for tag in self.tags]
        asked += [_keyword(self.keyword)] if self.keyword else []
        asked += [_account(self.account)] if self.account else []
        asked += [_language(self.language)] if self.language else []
        found = sorted(needed(self.words), key=lambda word: (-len(word), word)) if self.words else []
        return (*asked, *found[:ASKED_WORDS])

    @cached_property
    def mark(self) -> str:
        """Tells this search from others."""
        return sha256(msgspec.json.encode(self)).hexdigest()[:12]

    def finds(self, matched: Mapping[str, str]) -> bool:
        """Whether a row's `matched` is what is looked for: a rematch may have indexed what was not stored by it."""
        return not self.keyword or any(fold(text) == fold(self.keyword) for text in matched)

    @cached_property
    def matcher(self) -> Matcher | None:
        """Decides on the words; None where there are none."""
        if not self.words:
            return None
        return Matcher([Event(code="search", name="search", keywords=(self.words.text,), status="active")])


def search(
    text: str = "",
    *,
    keyword: str = "",
    language: str = "",
    account: str = "",
    tags: Iterable[str] = (),
    since: int | None = None,
    until: int | None = None,
) -> Search:
    """A search in its canonical form. Raises ValueError, in words for who asks."""
    if since is not None and until is not None and until <= since:
        raise ValueError("the end of the time that is searched is not after its start")
    for what, value, most in (("keyword", keyword, MAX_KEYWORD), ("account", account, 253), ("language", language, 35)):
        if len(value) > most or not value.isprintable():
            raise ValueError(f"this is no {what}: {value[:30]!r}")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("the words hold half of a character")
    own = tuple(sorted({check_tag(tag) for tag in tags}))
    if len(own) > MAX_TAGS:
        raise ValueError(f"{len(own)} tags; a search may ask for {MAX_TAGS}")
    return Search(
        text=parse_keyword(text).text if text.strip() else "",
        keyword=keyword.strip(),
        language=language.strip().lower(),
        account=fold(account.strip().removeprefix("@")),
        tags=own,
        since=since,
        until=until,
    )


def check_tag(text: str) -> str:
    """A tag in its canonical form: small letters, single blanks. Raises ValueError."""
    tag = " ".join(unicodedata.normalize("NFC", text.casefold()).split())
    if not tag:
        raise ValueError("a tag without a character")
    if len(tag) > MAX_TAG:
        raise ValueError(f"tag {tag[:20]!r}… has {len(tag)} characters; at most {MAX_TAG}")
    if "," in tag or any(unicodedata.category(char).startswith("C") and char not in "\u200c\u200d" for char in tag):
        raise ValueError(f"tag {tag!r} holds a comma or a character that cannot be seen")
    return tag


def terms_of(post: Post, values: list[Value], matched: Iterable[str], source: str) -> set[str]:
    """The terms by which a post is found; `values` are its normalized ones. Never none."""
    found = words(read_passages(post)[0])
    found.add(f"source:{source}")
    found.update(_keyword(keyword) for keyword in matched)
    found.update(_account(name) for at in _AUTHOR if isinstance(name := values[at], str))
    language = values[_LANGUAGE]
    for one in (*languages_of(post), *((language.lower(),) if isinstance(language, str) else ())):
        found.add(_language(one))
        found.add(_language(one.partition("-")[0]))
    return found


def tag_terms(tags: Iterable[str]) -> set[str]:
    """The terms by which a post is found that has these tags."""
    return {_tag(tag) for tag in tags}


def _keyword(text: str) -> str:
    return f"keyword:{fold(text)}"


def _account(name: str) -> str:
    return f"from:{fold(name)}"


def _language(language: str) -> str:
    return f"lang:{language}"


def _tag(tag: str) -> str:
    return f"tag:{tag}"


class Place(Struct, frozen=True, array_like=True, order=True):
    """Where a post stands in time; of two of one moment the greater id is the newer one."""

    moment: int  # milliseconds since 1970; 0 for a post without a time
    post_id: str


class _Cursor(Struct, frozen=True, array_like=True):
    mark: str
    place: Place


def cursor(asked: Search, place: Place) -> str:
    """What a client gives back to have the page that begins below a place."""
    return urlsafe_b64encode(msgspec.json.encode(_Cursor(asked.mark, place))).decode().rstrip("=")


def place_of(text: str, asked: Search) -> Place:
    """The place that a cursor names. Raises ValueError where it is none, or another search's."""
    try:
        found = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Cursor)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise ValueError("the cursor is none that was given out") from None
    if found.mark != asked.mark or not 0 <= found.place.moment < 1 << 62:
        raise ValueError("the cursor is of another search: leave it out to begin anew")
    return found.place


class Bucket(Struct, frozen=True):
    """A bucket as the list of its event has it."""

    name: str
    since: int  # milliseconds since 1970
    seconds: int  # 0: of posts without a time


def windows(buckets: Iterable[Bucket], asked: Search, below: Place | None) -> list[list[Bucket]]:
    """The buckets in which something can be found, the newest first; those of one time (shards) together.

    The posts of a window are all newer than those of the next, although the list may tell it longer than it was: a
    window ends where the next begins.
    """
    wanted = [
        one
        for one in buckets
        if (asked.until is None or one.since < asked.until)
        and (asked.since is None or one.since + one.seconds * 1000 > asked.since)
        and (below is None or one.since <= below.moment)
    ]
    ordered = sorted(wanted, key=lambda one: (-one.since, one.name))
    return [list(group) for _, group in groupby(ordered, key=lambda one: one.since)]
