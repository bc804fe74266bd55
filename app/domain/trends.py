"""What is frequent in an event just now: hashtags, accounts and links of the last 1, 10 or 60 whole minutes.

One `Minute` is kept for each event, partition of `classified_tweets` and minute in which posts were made; a window is
the sum over its minutes and partitions. What counts as what is as `analysis/traits.py` and `analysis/accounts.py` have
it, so a window is what these find in the stored posts of the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias, get_args

import msgspec
from msgspec import Struct, field

from app.domain.counting import MINUTE_MS, Once, Seen, add, take

Kind: TypeAlias = Literal["hashtags", "accounts", "links"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Window: TypeAlias = Literal[1, 10, 60]
WINDOWS: tuple[Window, ...] = get_args(Window)

# A source's clock, or an author's, may be ahead by so much; what claims to be of later is of no minute yet.
AHEAD_MS = 5 * MINUTE_MS
# Minutes kept of a partition, up to its newest: the longest window, the minute that runs, and those it may be ahead.
KEPT = 70
# A value is written to the changelog with every batch. Of a minute all are kept until a partition has more than twice
# as many different ones, or their names are longer than this; then the most frequent.
TOP = 250
MOST_CHARACTERS = 64_000


MOST_TOP = 100  # of a kind that are told of a window


class Lane(NamedTuple):
    """An event, of one of its lives, in a partition of `classified_tweets`."""

    code: str
    born: int
    partition: int

    def key(self, minute: int) -> str:
        """The key of a minute (since 1970) of it."""
        return f"{self.code}|{self.born}|{self.partition}|{minute}"


def lane_of(key: str) -> tuple[Lane, int]:
    """What a key names: the lane and the minute."""
    code, born, partition, minute = key.split("|")
    return Lane(code, int(born), int(partition)), int(minute)


class Word(NamedTuple):
    """What a source has said of stored posts of an event in a partition, and at which offset and line of it."""

    lane: Lane
    at: tuple[int, int]
    posts: list[Seen]


class Author(Struct, array_like=True):
    """Posts of an account in a minute, and its newest name."""

    posts: int = 0
    at: int = -1  # milliseconds within the minute: of the newest post that has the name
    name: str = ""


class Minute(Once):
    """Counts of one event, partition and minute. A post counts once for each, however often it has it."""

    posts: int = 0
    hashtags: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, Author] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    forgotten: dict[Kind, int] = field(default_factory=dict)  # by how much a count of this kind may be too low at most
    retracted_at: tuple[int, int] = (-1, -1)  # offset and line of the last word by which posts were taken back

    def count(self, post: Seen) -> bool:
        """Count a post of this minute, unless its raw position was counted before; says whether it was new."""
        if not self.is_new(post):
            return False
        self.posts += 1
        for tag in {tag.lower() for tag in post.hashtags if tag}:
            add(self.hashtags, tag)
        for link in set(post.links):
            add(self.links, link)
        if post.author:
            author = self.accounts.setdefault(post.author, Author())
            author.posts += 1
            if post.screen_name is not None:
                at = (post.created_ms or 0) % MINUTE_MS
                author.at, author.name = max((author.at, author.name), (at, post.screen_name))
        return True

    def retract(self, at: tuple[int, int], posts: Iterable[Seen]) -> bool:
        """Take back what was counted of posts of this minute, as `Activity.retract` does; says whether it was not yet.

        Of a post that is redacted nothing but that there is one stays.
        """
        if at <= tuple(self.retracted_at):
            return False
        self.retracted_at = at
        for post in posts:
            self.posts -= post.fate == "removed"
            if post.was == "redacted":
                continue
            for tag in {tag.lower() for tag in post.hashtags if tag}:
                take(self.hashtags, tag)
            for link in set(post.links):
                take(self.links, link)
            if author := self.accounts.get(post.author or ""):
                author.posts -= 1
                if author.posts <= 0:
                    del self.accounts[post.author or ""]
        return True

    def trim(self) -> None:
        """Forget what is rare, where there is too much."""
        for kind in KINDS:
            there = getattr(self, kind)
            if len(there) <= 2 * TOP and sum(map(len, there)) <= MOST_CHARACTERS:
                continue
            counts = self._counts(kind)
            kept: set[str] = set()
            room = MOST_CHARACTERS // 2
            for key in sorted(counts, key=lambda key: (-counts[key], key)):
                if len(kept) < TOP and len(key) <= room:
                    kept.add(key)
                    room -= len(key)
            most = max(count for key, count in counts.items() if key not in kept)
            self.forgotten[kind] = self.forgotten.get(kind, 0) + most
            setattr(self, kind, {key: there[key] for key in kept})

    def _counts(self, kind: Kind) -> dict[str, int]:
        if kind == "accounts":
            return {key: author.posts for key, author in self.accounts.items()}
        return self.hashtags if kind == "hashtags" else self.links


decode_minute = msgspec.json.Decoder(Minute).decode


class Trend(Struct, frozen=True, omit_defaults=True):
    """How many posts had a hashtag or a link, or are of an account, which is named by its id as `analysis` does."""

    name: str
    posts: int
    screen_name: str | None = None  # of an account, where the source tells one


class Trends(Struct, frozen=True):
    """A window, the most frequent of each kind first. Times are milliseconds since 1970; `until` is no part of it."""

    window: Window
    since: int
    until: int
    posts: int
    hashtags: tuple[Trend, ...]
    accounts: tuple[Trend, ...]
    links: tuple[Trend, ...]
    forgotten: dict[Kind, int]  # kind -> by how much a figure of it may be too low; none where all are exact


def minute_of(post: Seen) -> int | None:
    """The minute since 1970 in which a post counts; None where it is not known, or lies in the future."""
    made = post.created_ms
    return None if made is None or made > post.received_ms + AHEAD_MS else made // MINUTE_MS


def window_of(minutes: Iterable[int], window: Window, now: int) -> tuple[int, int]:
    """The first minute of a window and that after its last; `now` in milliseconds since 1970.

    It ends with the last whole minute; with the newest of the minutes that have posts where it would be empty.
    """
    running = now // MINUTE_MS
    newest = max((minute for minute in minutes if minute < running), default=running - 1)
    end = running if newest >= running - window else newest + 1
    return end - window, end


def found(items: Mapping[str, bytes], lanes: Iterable[Lane], first: int, window: Window) -> Iterator[tuple[int, bytes]]:
    """Of entries by key those of a window, each with its minute."""
    for lane in lanes:
        for minute in range(first, first + window):
            value = items.get(lane.key(minute))
            if value is not None:
                yield minute, value


def trends(window: Window, first: int, parts: Iterable[tuple[int, Minute]], most: int = MOST_TOP) -> Trends:
    """The sum of the minutes of a window, in any order, each as often as there are partitions."""
    posts = 0
    hashtags: dict[str, int] = {}
    links: dict[str, int] = {}
    accounts: dict[str, int] = {}
    names: dict[str, tuple[int, int, str]] = {}
    forgotten: dict[Kind, int] = {}
    for minute, part in parts:
        posts += part.posts
        for total, counts in ((hashtags, part.hashtags), (links, part.links)):
            for key, count in counts.items():
                total[key] = total.get(key, 0) + count
        for key, author in part.accounts.items():
            accounts[key] = accounts.get(key, 0) + author.posts
            names[key] = max(names.get(key, (0, -1, "")), (minute, author.at, author.name))
        for kind, count in part.forgotten.items():
            forgotten[kind] = forgotten.get(kind, 0) + count
    return Trends(
        window,
        first * MINUTE_MS,
        (first + window) * MINUTE_MS,
        posts,
        tuple(Trend(key, count) for key, count in _top(hashtags, most)),
        tuple(Trend(key, count, names[key][2] or None) for key, count in _top(accounts, most)),
        tuple(Trend(key, count) for key, count in _top(links, most)),
        forgotten,
    )


def _top(counts: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
