"""What is to be said of keywords before an event has them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.domain.advice import Advice
from app.domain.events import MAX_SELECTORS
from app.web.problems import Problem
from app.web.routes import Asked, Reply, Route


class Typed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keywords as they are typed, and the code of their event where it has one."""

    keywords: Annotated[tuple[str, ...], Meta(max_length=MAX_SELECTORS)]
    code: str = ""


class Advised(Struct, frozen=True):
    """What there is to say, faults first."""

    advice: list[Advice]


async def advice(asked: Asked) -> Reply:
    """Faults, words that are too broad, and overlaps: with each other, and with other events.

    429 where a person asks too often.
    """
    asked.desk.asking.admit_advice(asked.caller)
    typed: Typed = asked.body
    others = [one for one in asked.desk.views.events.view.items.values() if one.code != typed.code]
    return Reply(Advised(await asked.desk.asking.advice(asked.caller, typed.keywords, others)))


ROUTES = [
    Route(
        "POST",
        "/api/v1/advice",
        advice,
        "keywords.advice",
        "Advice on keywords",
        body=Typed,
        answers={200: Advised, 429: Problem},
        audited=False,
    ),
]
