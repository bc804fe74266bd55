"""The exports of an event: a form, and a list that follows what becomes of each."""

from __future__ import annotations

from typing import get_args

from msgspec import Struct

from app.domain.columns import EXPORTED
from app.domain.exports import Filters, Format, Network, Wish
from app.domain.people import Right
from app.domain.records import Origin
from app.web.api.exports import take_back
from app.web.forms import items, moment
from app.web.problems import Failed
from app.web.routes import Asked, Page, Redirect, Route

FORMATS: dict[Format, str] = {
    "csv": "CSV: a table, for spreadsheets and statistics",
    "jsonl": "JSON lines: a post a line, for programs",
    "parquet": "Parquet: typed columns, for pandas, R and Spark",
    "gexf": "GEXF: a network, for Gephi",
    "raw": "Raw: each post as it came from its source",
    "ids": "Ids alone",
}
_PATH = "/events/{code}/exports"


class Form(Struct, frozen=True, kw_only=True):
    """What was typed. Times are UTC, lists are written with commas."""

    format: Format = "csv"
    network: Network = "mentions"
    bom: bool = False
    since: str = ""
    until: str = ""
    languages: str = ""
    accounts: str = ""
    tags: str = ""
    keywords: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    columns: tuple[str, ...] = ()

    def wish(self) -> Wish:
        """What is wished; options of other formats than the chosen one are passed over. Raises ValueError."""
        return Wish(
            format=self.format,
            network=self.network if self.format == "gexf" else "mentions",
            bom=self.bom and self.format == "csv",
            columns=self.columns if self.format in ("csv", "jsonl", "parquet") else (),
            filters=Filters(
                since=moment(self.since, "From"),
                until=moment(self.until, "To"),
                languages=items(self.languages),
                accounts=items(self.accounts),
                tags=items(self.tags),
                keywords=self.keywords,
                origins=self.origins,
            ),
        )


async def page(asked: Asked) -> Page:
    """The form and the list."""
    return await _page(asked, Form())


async def listed(asked: Asked) -> Page:
    """The list alone, for the page that follows it."""
    return Page("exports_list.html", await _shown(asked))


async def ask(asked: Asked) -> Page | Redirect:
    """Ask for an export; what was typed stays where it cannot be."""
    form: Form = asked.body
    try:
        wish = form.wish()
        export = await asked.desk.exports.ask(asked.caller, asked.event, wish)
    except ValueError as wrong:
        return await _page(asked, form, str(wrong), 422)
    except Failed as failed:
        return await _page(asked, form, failed.problem.detail, failed.problem.status)
    asked.detail |= {"export": export.asked.id, "format": wish.format}
    return Redirect(f"/events/{asked.event.code}/exports", "The export has been asked for.")


async def withdraw(asked: Asked) -> Redirect:
    """Take an export back."""
    await take_back(asked)
    return Redirect(f"/events/{asked.event.code}/exports", "The export is taken back.")


async def _page(asked: Asked, form: Form, wrong: str = "", status: int = 200) -> Page:
    shown = await _shown(asked)
    choices = {
        "formats": FORMATS,
        "networks": get_args(Network),
        "origins": get_args(Origin),
        "columns": list(EXPORTED),
        "keywords": asked.event.keywords,
    }
    return Page("exports.html", {**shown, **choices, "form": form, "wrong": wrong}, status)


async def _shown(asked: Asked) -> dict[str, object]:
    desk, event = asked.desk.exports, asked.event
    return {
        "event": event,
        "exports": await desk.shown(desk.of(event)),
        "may_change": asked.caller.may(Right.CHANGE, event.owners),
    }


ROUTES = [
    Route("GET", _PATH, page, "exports.page", "Exports of an event"),
    Route("GET", f"{_PATH}/list", listed, "exports.page_list", "The list of them"),
    Route("POST", _PATH, ask, "exports.page_ask", "Ask for an export", body=Form, action="exports.ask"),
    Route(
        "POST",
        f"{_PATH}/{{id}}/withdraw",
        withdraw,
        "exports.page_withdraw",
        "Take an export back",
        action="exports.withdraw",
    ),
]
