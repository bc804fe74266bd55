"""What every live source can do, and the words in which it says what happened."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from app.domain.backoff import Trouble
from app.domain.events import Event
from app.domain.records import Origin

__all__ = [
    "MOST_LINE_BYTES",
    "Asking",
    "Broken",
    "Fact",
    "Found",
    "Opened",
    "Place",
    "Query",
    "Resume",
    "Selection",
    "Source",
    "Sure",
    "Trouble",
    "Unsure",
    "need",
]

# A post with a long quote has about 30 kB; a line beyond this is not a message of any source.
MOST_LINE_BYTES = 4 * 1024 * 1024


class Broken(Exception):
    """The connection cannot be made or has ended; the message says why, in one line for a person."""

    def __init__(self, trouble: Trouble, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.trouble = trouble
        self.retry_after = retry_after  # seconds, where the server has said so


# Whether the account is this process's to change, by what is known at this very moment.
Sure: TypeAlias = Callable[[], bool]


class Unsure(Broken):
    """Something was to be changed at the source by a tracker that may not, as it does not know whether it still may."""


def need(sure: Sure) -> None:
    """To be called right before a request that changes something at the source. Raises Unsure where it must not."""
    if not sure():
        raise Unsure(Trouble.NETWORK, "nothing is changed at the source: this tracker is not sure of its lease")


class Fact(Struct, frozen=True):
    """What the tracker has to know of a line. Only what costs little: the line is not read as a post here."""

    key: str | None = None  # identifies a post, and of one that can change its state; None for a control message
    cursor: int | None = None  # where to resume after this line
    seen_ms: int | None = None  # when the source saw it, where its lines say so and come in that order
    tags: tuple[str, ...] = ()  # codes of the events that the source sent it for, where it says so
    withheld: int | None = None  # a limit notice: posts kept back since the connection began (cumulative)
    ends: str | None = None  # the source says that it will end the connection, and why
    trouble: Trouble = Trouble.DISCONNECTED  # of which kind that end is


class Resume(Struct, frozen=True):
    """Where to go on listening. Both None: from now on."""

    cursor: int | None = None  # of the last line that Kafka has
    heard_ms: int | None = None  # when that was, in milliseconds since 1970
    server: str = ""  # whose cursor it is, where each server has its own


class Opened(Struct, frozen=True):
    """A connection was made."""

    since_ms: int | None = None  # hears everything from this moment on, where the source can hear the past; else now
    note: str = ""  # what a person should know of it
    server: str = ""  # whose the cursors are, where each server has its own
    dated: bool = False  # its lines tell when it saw them: without one it has delivered nothing of the past
    added_ms: dict[str, int] = {}  # event code -> when it was asked by this process for more of it, last
    gapless: bool = True  # the one before it, where it takes its place, had not ended by itself until then


class Selection(Struct, frozen=True):
    """What a source is asked for by now: the version of each event that is in force there, and what it refused."""

    versions: dict[str, int] = {}  # event code -> version
    refused: dict[str, tuple[str, ...]] = {}  # event code -> what is not asked for, and why
    since_ms: int | None = None  # what is missing may be missing since then, and has not been noticed; None: it is not
    # Seconds until the source is to be asked again for the same, since it has something left to do. 0: at once; this is
    # what it is asked for until then.
    again: float | None = None


class Query(Struct, frozen=True):
    """One question of a search, and the events that it is asked for."""

    text: str
    codes: tuple[str, ...]


class Asking(Struct):
    """What a search asks for, and what of the events it does not ask for, with the reasons.

    A query that the source turns out not to understand gives way to what can be asked of it: those before keep their
    places.
    """

    events: Sequence[Event]
    queries: list[Query]
    refused: dict[str, list[str]] = {}

    @property
    def codes(self) -> set[str]:
        """The events of which anything is asked for."""
        return {code for query in self.queries for code in query.codes}


class Place(Struct, frozen=True):
    """How far a search has come."""

    query: int = 0  # of those that it asks
    page: str = ""  # as the source names it; its first one has no name


class Found(Struct, frozen=True):
    """A part of what a search has come upon, in lines of this source; without posts it only tells how far it is."""

    line: bytes  # or several
    then: Place  # where to go on after it
    since_ms: int | None = None  # where its past begins, where it is the source that knows
    reached_ms: int | None = None  # up to where all is found, where it goes forward in time


class Source(Protocol):
    """A live source of one account."""

    name: str  # as in the `source` header: "x", "bluesky", …
    form: str  # as in the `format` header: "v1", "v2", "jetstream-v1", "jetstream-v2"
    silent_seconds: float  # without any sign of life: then the socket is dead
    again_seconds: float  # after which it is asked for the same again, to see whether it still has it
    selective: bool  # hands over only posts of the events it was asked for
    filtered: bool  # leaves out what no event wants, though the source hands it over

    async def select(self, events: Sequence[Event], sure: Sure) -> Selection:
        """Ask for the posts of these (active) events and no others; before connecting, and while it listens.

        What is added is in force when it returns, or soon; nothing that stays is missed meanwhile. Where that cannot
        be, or turns out not to have been, it returns with what is left before it asks for more. Asked again for the
        same, it looks whether that is still in force, and tries what it had to refuse. Nothing is changed at the source
        unless `sure` says right before it that it may be. Raises Broken.
        """

    def listen(self, resume: Resume) -> AsyncGenerator[Opened | list[bytes] | Fact, None]:
        """Connect: first Opened, then lines as they come, complete, without their ends; none is a sign of life.

        A Fact is of lines that were left out: so far has the source come.

        Ends by raising Broken, however the connection ends; closing the iterator closes the connection. A line beyond
        MOST_LINE_BYTES ends it too.
        """

    def fact(self, line: bytes) -> Fact:
        """What the tracker has to know of a line; the empty Fact for one that it does not understand."""

    async def release(self) -> None:
        """End connections of this account that another process has left open. Raises Broken."""

    async def close(self) -> None:
        """Give back what it holds."""


@runtime_checkable
class Searchable(Source, Protocol):
    """A source that can also be asked for the past."""

    reach_ms: int | None  # how far back; what begins earlier is refused as a whole. None: it says so when it is asked
    finds: Origin  # how posts are marked that it is asked for by an event's wish

    def asking(self, events: Sequence[Event]) -> Asking:
        """What a search for the posts of these events asks for."""

    def search(self, asking: Asking, since_ms: int, until_ms: int, place: Place) -> AsyncGenerator[Found, None]:
        """Posts of that time from a place of the same search on. Raises Broken."""
