"""What people were told of, and what nobody is to be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import Struct

from app.domain.notices import KINDS, Kind
from app.domain.people import Right
from app.web.api import notices
from app.web.problems import Failed
from app.web.routes import Asked, Page, Redirect, Route

A_PAGE = 100


class Form(Struct, frozen=True, kw_only=True):
    """What is to be muted, and for how many hours; 0: until it is ended."""

    event: str = ""
    kind: Kind | Literal[""] = ""
    hours: int = 0
    why: str = ""


async def page(asked: Asked) -> Page:
    """The newest notices."""
    return _page(asked, Form())


def _page(asked: Asked, form: Form, wrong: str = "", status: int = 200) -> Page:
    found = notices.listed(asked, A_PAGE)
    mutes = [(one, notices.may_mute(asked, one.event, one.kind)) for one in notices.standing(asked)]
    kinds = KINDS if asked.caller.may(Right.ADMIN) else tuple(kind for kind in KINDS if kind != "budget")
    may = any(notices.may_mute(asked, code, "") for code in ("", *asked.desk.views.events.view.items))
    shown = {"listed": found, "mutes": mutes, "may": may, "kinds": kinds, "form": form, "wrong": wrong}
    return Page("notices.html", shown, status)


async def mute(asked: Asked) -> Page | Redirect:
    """Have nobody told of something."""
    form: Form = asked.body
    if not 0 <= form.hours <= 24 * 366:
        return _page(asked, form, "a mute lasts a year at most, or until it is ended", 422)
    until = datetime.now(UTC) + timedelta(hours=form.hours) if form.hours else None
    wish = notices.Muted(event=form.event.strip(), kind=form.kind, until=until, why=form.why)
    try:
        await notices.add(asked, wish)
    except Failed as failed:
        return _page(asked, form, failed.problem.detail, failed.problem.status)
    return Redirect("/notices", "It is muted.")


async def unmute(asked: Asked) -> Redirect:
    """End a mute."""
    await notices.remove(asked, asked.path["id"])
    return Redirect("/notices", "It is no longer muted.")


ROUTES = [
    Route("GET", "/notices", page, "notices.page", "Notices"),
    Route("POST", "/notices/mutes", mute, "notices.page_mute", "Mute", body=Form, action="mutes.add"),
    Route(
        "POST",
        "/notices/mutes/{id}/end",
        unmute,
        "notices.page_unmute",
        "End a mute",
        action="mutes.remove",
    ),
]
