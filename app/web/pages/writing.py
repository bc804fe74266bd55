"""The form of an event, new or to be edited, and the import of many."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from app.domain.advice import Advice
from app.domain.differences import between
from app.domain.importing import Step
from app.domain.people import Right
from app.web import changing
from app.web.forms import DELETIONS, PASTS, EventForm, form_of, lines
from app.web.importing import bring, planned
from app.web.problems import Failed
from app.web.routes import Asked, Page, Redirect, Route


class File(Struct, frozen=True, kw_only=True):
    """A file's text."""

    text: str = ""
    begin: bool = False
    why: str = ""
    do: bool = False  # else it is only said what would become of each


async def new(asked: Asked) -> Page:
    """An empty form."""
    return await _form(asked, EventForm(), "")


async def create(asked: Asked) -> Page | Redirect:
    """Create it; what was typed stays where that cannot be."""
    form: EventForm = asked.body
    try:
        event = await changing.create(asked, form.new())
    except ValueError as wrong:
        return await _form(asked, form, "", str(wrong), 422)
    except Failed as failed:
        return await _form(asked, form, "", failed.problem.detail, failed.problem.status)
    return Redirect(f"/events/{event.code}", "The event is created.")


async def edit(asked: Asked) -> Page:
    """The form as the event stands."""
    return await _form(asked, form_of(asked.event), asked.event.code)


async def save(asked: Asked) -> Page | Redirect:
    """Save it. Where somebody was faster both versions are shown, and saving again is over theirs."""
    form: EventForm = asked.body
    code = asked.event.code
    try:
        event = await changing.edit(asked, form.edited(), form.version or None)
    except ValueError as wrong:
        return await _form(asked, form, code, str(wrong), 422)
    except Failed as failed:
        problem = failed.problem
        if problem.current is None:
            return await _form(asked, form, code, problem.detail, problem.status)
        current = problem.current
        form = msgspec.structs.replace(form, version=current["version"])
        conflict: dict[str, object] = {"current": current, "fields": between(problem.yours or {}, current)}
        return await _form(asked, form, code, problem.detail, problem.status, conflict)
    return Redirect(f"/events/{event.code}", f"Saved: version {event.version}.")


async def _form(
    asked: Asked,
    form: EventForm,
    code: str,
    wrong: str = "",
    status: int = 200,
    conflict: dict[str, object] | None = None,
) -> Page:
    shown = {
        "event": asked.event if code else None,
        "form": form,
        "wrong": wrong,
        "conflict": conflict,
        "pasts": PASTS,
        "deletions": DELETIONS,
        "advice": await _advice(asked, form.keywords, code),
    }
    return Page("event_form.html", shown, status)


async def _advice(asked: Asked, keywords: str, code: str) -> list[Advice]:
    others = [one for one in asked.desk.views.events.view.items.values() if one.code != code]
    try:
        return await asked.desk.asking.advice(asked.caller, lines(keywords)[:1000], others)
    except Failed:
        return []  # what was typed is worth more than what there is to say of it


async def import_form(asked: Asked) -> Page:
    """Where a file is put in."""
    return Page("import.html", {"form": File(), "steps": [], "wrong": "", "done": False})


async def bring_in(asked: Asked) -> Page:
    """Say what would become of each event, or do it."""
    form: File = asked.body
    asked.detail["dry"] = not form.do
    steps: list[Step] = []
    try:
        steps = await planned(asked, form.text.encode(), form.why, begin=form.begin)
        if form.do:
            steps = await bring(asked, steps)
    except Failed as failed:
        shown = {"form": form, "steps": steps, "wrong": failed.problem.detail, "done": False}
        return Page("import.html", shown, failed.problem.status)
    refused = any(step.fate == "refused" for step in steps)
    wrong = "Not all of this can be done." if refused else ""
    return Page("import.html", {"form": form, "steps": steps, "wrong": wrong, "done": form.do and not refused})


ROUTES = [
    Route("GET", "/new", new, "event.page_new", "A new event", Right.CREATE),
    Route(
        "POST",
        "/new",
        create,
        "event.page_create",
        "Create an event",
        Right.CREATE,
        body=EventForm,
        action="events.create",
    ),
    Route("GET", "/events/{code}/edit", edit, "event.page_edit", "Edit an event", Right.CHANGE),
    Route(
        "POST",
        "/events/{code}/edit",
        save,
        "event.page_save",
        "Save an event",
        Right.CHANGE,
        body=EventForm,
        action="events.edit",
    ),
    Route("GET", "/import", import_form, "event.page_import", "Import events", Right.CREATE),
    Route(
        "POST",
        "/import",
        bring_in,
        "event.page_bring",
        "Import events",
        Right.CREATE,
        body=File,
        most_bytes=2 * 1024 * 1024,
        action="events.import",
    ),
]
