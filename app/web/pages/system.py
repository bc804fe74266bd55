"""The dashboard, and the dead letters with their way back."""

from __future__ import annotations

from msgspec import Struct

from app.domain.letters import MOST_AT_ONCE
from app.domain.people import Right
from app.domain.presence import name_of
from app.web.api.system import Again, LetterKind, LettersWanted, Named, listed, look, opened, sent_again
from app.web.routes import Asked, Page, Redirect, Route
from app.web.watching import now_ms

A_PAGE = 50
_MOST_EVENTS = 100
_MOST_KINDS = 5  # of reasons of dead letters; their own page has all


class Chosen(Struct, frozen=True, kw_only=True):
    """The form: one letter, or the oldest of a kind."""

    id: str = ""
    kind: str = ""

    def __post_init__(self) -> None:
        if bool(self.id) == bool(self.kind):
            raise ValueError("name either a letter or a kind")


async def page(asked: Asked) -> Page:
    """Everything at a glance."""
    return Page("system.html", _shown(asked))


async def now(asked: Asked) -> Page:
    """The part of it that changes."""
    return Page("system_now.html", _shown(asked))


async def letters(asked: Asked) -> Page:
    """Dead letters, the newest first."""
    wanted: LettersWanted = asked.query
    shown = {"wanted": wanted, "found": listed(asked, wanted), "may_replay": asked.caller.may(Right.CREATE)}
    return Page("letters.html", {**shown, "a_page": wanted.most, "at_once": MOST_AT_ONCE})


async def letter(asked: Asked) -> Page:
    """One with its bytes."""
    return Page(
        "letter.html", {"one": await opened(asked, asked.query.id), "may_replay": asked.caller.may(Right.CREATE)}
    )


async def send_again(asked: Asked) -> Redirect:
    """Send one, or the oldest of a kind, once more."""
    chosen: Chosen = asked.body
    wanted = Again(ids=(chosen.id,) if chosen.id else (), kind=chosen.kind, most=MOST_AT_ONCE)
    outcome = await sent_again(asked, wanted)
    said = f"{len(outcome.sent)} sent once more"
    if outcome.before:
        said += f", {len(outcome.before)} had been before"
    if outcome.refused:
        why = next(iter(outcome.refused.values()))
        said += f", {len(outcome.refused)} cannot be: {why}"
    return Redirect("/dead-letters", said)


def _shown(asked: Asked) -> dict[str, object]:
    whole = look(asked)
    reasons = asked.desk.watching.letter_kinds()[:_MOST_KINDS]
    alive = [one for one in whole.processes if not one.silent(now_ms())]
    return {
        "whole": whole,
        "now": now_ms(),
        "events": whole.events[:_MOST_EVENTS],
        "names": {one.id: name_of(one, alive) for one in alive},
        "letter_kinds": [LetterKind(kind, count) for kind, count in reasons],
        "may_replay": asked.caller.may(Right.CREATE),
        "at_once": MOST_AT_ONCE,
        "behind": sum(lag.records for lag in whole.lags),
    }


ROUTES = [
    Route("GET", "/system", page, "system.page", "Everything at a glance"),
    Route("GET", "/system/now", now, "system.page_now", "What changes of it"),
    Route("GET", "/dead-letters", letters, "letters.page", "Dead letters", query=LettersWanted),
    Route("GET", "/dead-letters/one", letter, "letters.page_one", "A dead letter", query=Named),
    Route(
        "POST",
        "/dead-letters",
        send_again,
        "letters.page_replay",
        "Send once more",
        Right.CREATE,
        body=Chosen,
        action="letters.replay",
    ),
]
