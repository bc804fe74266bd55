"""What every live source can do, and the words in which it says what happened."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from app.domain.backoff import Trouble
from app.domain.events import Event

__all__ = ["MOST_LINE_BYTES", "Broken", "Fact", "Found", "Opened", "Place", "Resume", "Selection", "Source", "Trouble"]

# A post with a long quote has about 30 kB; a line beyond this is not a message of any source.
MOST_LINE_BYTES = 4 * 1024 * 1024


class Broken(Exception):
    """The connection cannot be made or has ended; the message says why, in one line for a person."""

    def __init__(self, trouble: Trouble, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.trouble = trouble
        self.retry_after = retry_after  # seconds, where the server has said so


class Fact(Struct, frozen=True):
    """What the tracker has to know of a line. Only what costs little: the line is not read as a post here."""

    key: str | None = None  # identifies a post, and of one that can change its state; None for a control message
    cursor: int | None = None  # where to resume after this line
    seen_ms: int | None = None  # when the source saw it, where its lines say so and come in that order
    tags: tuple[str, ...] = ()  # codes of the events that the source sent it for, where it says so
    withheld: int | None = None  # a limit notice: posts kept back since the connection began (cumulative)
    ends: str | None = None  # the source says that it will end the connection, and why
    trouble: Trouble = Trouble.ENDED  # of which kind that end is


class Resume(Struct, frozen=True):
    """Where to go on listening. Both None: from now on."""

    cursor: int | None = None  # of the last line that Kafka has
    heard_ms: int | None = None  # when that was, in milliseconds since 1970


class Opened(Struct, frozen=True):
    """A connection was made."""

    since_ms: int | None = None  # hears everything from this moment on, where the source can hear the past; else now
    note: str = ""  # what a person should know of it


class Selection(Struct, frozen=True):
    """What a source is asked for by now: the version of each event that is in force there, and what it refused."""

    versions: dict[str, int] = {}  # event code -> version
    refused: dict[str, tuple[str, ...]] = {}  # event code -> what is not asked for, and why


class Place(Struct, frozen=True):
    """How far a search has come."""

    query: int = 0
    page: str = ""  # as the source names it; its first one has no name


class Found(Struct, frozen=True):
    """A page of a search that has posts."""

    line: bytes
    then: Place  # where to go on after it


class Source(Protocol):
    """A live source of one account."""

    name: str  # as in the `source` header: "x", "bluesky", …
    form: str  # as in the `format` header: "v1", "v2", "jetstream-v1", "jetstream-v2"
    silent_seconds: float  # without any sign of life: then the socket is dead
    selective: bool  # hands over only posts of the events it was asked for

    async def select(self, events: Sequence[Event]) -> Selection:
        """Ask for the posts of these (active) events and no others; before connecting, and while it listens.

        What is added is in force when it returns; nothing that stays is missed meanwhile. Asked again for the same, it
        tries what it had to refuse, where that may have changed. Raises Broken.
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
    """A source that can also be asked for the past, against payment."""

    reach_ms: int  # how far back; what begins earlier is refused as a whole

    def search(self, events: Sequence[Event], since_ms: int, until_ms: int, place: Place) -> AsyncIterator[Found]:
        """Posts of that time from a place of the same search on, a page a line. Raises Broken."""
