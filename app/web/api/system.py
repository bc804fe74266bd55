"""The whole at a glance: events, processes, lag, sources, servers, budgets; and dead letters with their way back."""

from __future__ import annotations

from msgspec import Struct

from app.clients.dead_letters import read_bytes, replay
from app.domain.coverage import SourceStatus
from app.domain.diagnosis import Finding, system
from app.domain.lag import Lag
from app.domain.letters import MOST_AT_ONCE, Letter, Outcome, Replayed, kinds
from app.domain.people import Right
from app.domain.presence import Process
from app.domain.provisioning import Provisioned
from app.domain.reach import Reach
from app.web.catching_up import caught_up_first
from app.web.problems import Failed, Problem
from app.web.routes import Asked, Reply, Route
from app.web.watching import Glance, Spent


class Whole(Struct, frozen=True):
    """How everything is. Times are milliseconds since 1970."""

    findings: list[Finding]
    events: list[Glance]
    processes: list[Process]
    lags: list[Lag]
    sources: list[SourceStatus]
    spent: list[Spent]
    kafka: Reach
    cassandra: Reach
    letters: int  # dead letters among the newest 10,000
    provisioned: Provisioned | None  # in Kubernetes, by this manager; None where it has not
    index_behind: int | None  # classified records that are not indexed yet; None where that is not known


class LettersWanted(Struct, frozen=True, kw_only=True):
    """Which dead letters: those whose reason holds a text, or is of a kind; which part of them."""

    reason: str = ""
    kind: str = ""
    after: int = 0
    most: int = 50

    def __post_init__(self) -> None:
        if not 0 <= self.after <= 1_000_000 or not 1 <= self.most <= 1000:
            raise ValueError("after is from 0 on, most from 1 to 1000")


class Buried(Struct, frozen=True):
    """A dead letter, and whether it was sent to `raw_tweets` once more."""

    letter: Letter
    replayed: Replayed | None


class LetterKind(Struct, frozen=True):
    """How many letters have a reason of a kind."""

    kind: str
    letters: int


class Letters(Struct, frozen=True):
    """Dead letters, the newest first, and how many there are of each kind, of the newest 10,000."""

    letters: list[Buried]
    all: int
    kinds: list[LetterKind]


class Named(Struct, frozen=True):
    """One dead letter, by its id."""

    id: str


class Opened(Struct, frozen=True):
    """A dead letter with its bytes, as text; what is no UTF-8 is escaped."""

    letter: Letter
    replayed: Replayed | None
    bytes: str


class Again(Struct, frozen=True, kw_only=True):
    """Which letters are to be sent once more: by id, or the oldest of a kind of reason that have not been yet."""

    ids: tuple[str, ...] = ()
    kind: str = ""
    most: int = 100

    def __post_init__(self) -> None:
        if bool(self.ids) == bool(self.kind):
            raise ValueError("name either ids or a kind")
        if len(self.ids) > MOST_AT_ONCE or not 1 <= self.most <= MOST_AT_ONCE:
            raise ValueError(f"at most {MOST_AT_ONCE} at once")


async def whole(asked: Asked) -> Reply:
    """Events with their rates, processes with their partitions, lag, sources, servers, budgets."""
    return Reply(look(asked))


def look(asked: Asked) -> Whole:
    """The same for a page."""
    watching = asked.desk.watching
    facts = watching.facts()
    return Whole(
        system(facts),
        watching.glances(),
        watching.processes(),
        watching.lags.found,
        watching.statuses(),
        watching.spent(),
        watching.lags.reach,
        watching.cassandra.reach,
        len(watching.letters.index.letters),
        asked.desk.provisioned,
        watching.lags.unindexed,
    )


async def letters(asked: Asked) -> Reply:
    """What could not be handled, and why."""
    return Reply(listed(asked, asked.query))


def listed(asked: Asked, chosen: LettersWanted) -> Letters:
    """The same for a page."""
    watching, views = asked.desk.watching, asked.desk.views
    every = watching.letters.index.newest_first()
    meant = [one for one in every if chosen.reason in one.reason and chosen.kind in ("", one.kind)]
    part = meant[chosen.after : chosen.after + chosen.most]
    marks = views.replayed.items
    counted = [LetterKind(kind, count) for kind, count in kinds(every)]
    return Letters([Buried(one, marks.get(one.id)) for one in part], len(meant), counted)


async def letter(asked: Asked) -> Reply:
    """A dead letter with its bytes."""
    return Reply(await opened(asked, asked.query.id))


async def opened(asked: Asked, name: str) -> Opened:
    """The same for a page. Raises Failed, Unavailable."""
    one = _named(asked, name)
    values = await read_bytes(asked.desk.settings, [one])
    if one.id not in values:
        raise Failed(404, f"dead letter {one.id!r} is no longer kept", reason="unknown")
    text = values[one.id].decode("utf-8", "backslashreplace")
    return Opened(one, asked.desk.views.replayed.items.get(one.id), text)


async def send_again(asked: Asked) -> Reply:
    """Send dead letters to `raw_tweets` once more, as they were heard then; each is sent once."""
    return Reply(await sent_again(asked, asked.body))


async def sent_again(asked: Asked, wanted: Again) -> Outcome:
    """The same for a page. Raises Failed, Unavailable."""
    watching, views = asked.desk.watching, asked.desk.views
    async with watching.replaying:
        await caught_up_first(views.replayed, asked.desk.settings.command_timeout)
        marks = views.replayed.items
        if wanted.ids:
            chosen = [_named(asked, name) for name in wanted.ids]
        else:
            every = reversed(watching.letters.index.newest_first())
            chosen = [one for one in every if one.kind == wanted.kind and one.id not in marks][: wanted.most]
        outcome = await replay(asked.desk.settings, chosen, marks, asked.caller.name)
    asked.detail |= {"sent": len(outcome.sent), "letters": outcome.sent[:20], "kind": wanted.kind}
    return outcome


def _named(asked: Asked, name: str) -> Letter:
    found = asked.desk.watching.letters.index.letters.get(name)
    if found is None:
        raise Failed(404, f"there is no dead letter {name[:100]!r} among the newest", reason="unknown")
    return found


ROUTES = [
    Route("GET", "/api/v1/system", whole, "system.whole", "Everything at a glance", answers={200: Whole}),
    Route(
        "GET",
        "/api/v1/dead-letters",
        letters,
        "letters.list",
        "List dead letters",
        query=LettersWanted,
        answers={200: Letters},
    ),
    Route(
        "GET",
        "/api/v1/dead-letters/one",
        letter,
        "letters.get",
        "Get a dead letter with its bytes",
        query=Named,
        answers={200: Opened, 404: Problem},
    ),
    Route(
        "POST",
        "/api/v1/dead-letters/replay",
        send_again,
        "letters.replay",
        "Send dead letters once more",
        Right.CREATE,
        body=Again,
        answers={200: Outcome, 404: Problem},
    ),
]
