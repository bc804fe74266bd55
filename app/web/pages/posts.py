"""Stored posts of an event: search them, look at one, tag and note them."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET, Struct

from app.domain.annotating import MAX_POSTS, Change
from app.domain.heard import to_ms
from app.domain.people import Right
from app.domain.searching import Search, search
from app.web.api.posts import begin, found, write
from app.web.archive_desk import Whole
from app.web.forms import items, moment
from app.web.problems import Failed
from app.web.routes import Asked, Page, Redirect, Route

A_PAGE = 50
ORDERS_SHOWN = 5
_PATH = "/events/{code}/posts"


class Form(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was typed. Times are UTC, tags are written with commas."""

    text: str = ""
    keyword: str = ""
    language: str = ""
    account: str = ""
    tags: str = ""
    since: str = ""
    until: str = ""

    def search(self) -> Search:
        """The search. Raises ValueError."""
        return search(
            self.text,
            keyword=self.keyword,
            language=self.language,
            account=self.account,
            tags=items(self.tags),
            since=_ms(self.since, "From"),
            until=_ms(self.until, "To"),
        )

    def address(self, code: str, **more: str) -> str:
        """Of the page that shows what it finds."""
        typed = {name: value for name, value in msgspec.to_builtins(self).items() if name in Form.__struct_fields__}
        return f"/events/{code}/posts?{urlencode(typed | more)}"


class Wanted(Form, frozen=True, kw_only=True, omit_defaults=True):
    """A search, and which page of it."""

    cursor: str = ""


class Bulk(Form, frozen=True, kw_only=True, omit_defaults=True):
    """A search, and what is to be written to all that it finds."""

    add: str = ""
    remove: str = ""
    note: str = ""  # blank: each note stays


class Written(Struct, frozen=True, kw_only=True):
    """What is to be written to one post: tags to add and to remove, and the note."""

    add: str = ""
    remove: tuple[str, ...] = ()
    note: str = ""
    was: str = ""  # the note as the form was loaded: who leaves it so has nothing to say of another's


async def page(asked: Asked) -> Page:
    """The form, and what it finds."""
    return await _page(asked, asked.query)


async def bulk(asked: Asked) -> Page | Redirect:
    """Begin to tag or note what a search finds."""
    form: Bulk = asked.body
    try:
        change = Change(add=items(form.add), remove=items(form.remove), note=_note(form.note) or UNSET)
        await begin(asked, form.search(), change, MAX_POSTS)
    except ValueError as wrong:
        return await _page(asked, msgspec.convert(msgspec.to_builtins(form), Wanted), str(wrong), 422)
    except Failed as failed:
        problem = failed.problem
        wanted = msgspec.convert(msgspec.to_builtins(form), Wanted)
        return await _page(asked, wanted, problem.detail, problem.status)
    return Redirect(form.address(asked.event.code), "The posts are being written to; below you see how far it is.")


async def one(asked: Asked) -> Page:
    """A post, with all that is stored of it."""
    whole = await asked.desk.archive.whole(asked.caller, asked.event, asked.path["id"])
    return await _one(asked, whole, _note(whole.found.annotation.note))


async def annotate(asked: Asked) -> Page | Redirect:
    """Write to a post; where somebody has changed the note meanwhile both are shown, and nothing is written."""
    form: Written = asked.body
    whole = await asked.desk.archive.whole(asked.caller, asked.event, asked.path["id"])
    stands, note = _note(whole.found.annotation.note), _note(form.note)
    change = Change(add=items(form.add), remove=form.remove, note=UNSET if note in (_note(form.was), stands) else note)
    if change.note is not UNSET and _note(form.was) != stands:
        return await _one(asked, whole, note, form.add)
    address = f"/events/{asked.event.code}/posts/{quote(asked.path['id'], safe='')}"
    if change == Change():
        return Redirect(address, "Nothing was changed.")
    await write(asked, change)
    return Redirect(address, "It is written down.")


def _note(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


async def _one(asked: Asked, whole: Whole, note: str, add: str = "") -> Page:
    """The post; a note that is typed over another one than stands is shown beside that."""
    event = asked.event
    conflict = note != _note(whole.found.annotation.note)
    return Page(
        "stored_post.html",
        {
            "event": event,
            "post": whole.found.post,
            "found": whole.found,
            "columns": {name: value for name, value in whole.columns.items() if value is not None},
            "raw": msgspec.json.format(msgspec.json.encode(whole.raw), indent=2).decode(errors="replace"),
            "path": quote(asked.path["id"], safe=""),
            "tags": await asked.desk.archive.archive.tags(event.code),
            "may_change": asked.caller.may(Right.CHANGE, event.owners),
            "note": note,
            "add": add,
            "wrong": "Somebody changed the note meanwhile. Nothing is written yet." if conflict else "",
        },
        409 if conflict else 200,
    )


async def _page(asked: Asked, form: Wanted, wrong: str = "", status: int = 200) -> Page:
    event = asked.event
    shown: dict[str, object] = {"results": None, "more": "", "wrong": wrong}
    if not wrong:
        try:
            results = await found(asked, form.search(), form.cursor, A_PAGE)
            more = form.address(event.code, cursor=results.cursor) if results.cursor else ""
            shown |= {"results": results, "more": more}
        except ValueError as said:
            shown["wrong"], status = str(said), 422
        except Failed as failed:
            shown["wrong"], status = failed.problem.detail, failed.problem.status
    desk = asked.desk.archive
    return Page(
        "posts.html",
        shown
        | {
            "event": event,
            "form": form,
            "tags": await desk.archive.tags(event.code),
            "orders": (await desk.orders(event))[:ORDERS_SHOWN],
            "most": MAX_POSTS,
            "may_change": asked.caller.may(Right.CHANGE, event.owners),
        },
        status,
    )


def _ms(text: str, name: str) -> int | None:
    at = moment(text, name)
    return None if at is None else to_ms(at)


ROUTES = [
    Route("GET", _PATH, page, "posts.page", "Stored posts of an event", query=Wanted),
    Route(
        "POST",
        _PATH,
        bulk,
        "posts.page_tag_found",
        "Tag or note what a search finds",
        Right.CHANGE,
        body=Bulk,
        action="posts.annotate_found",
    ),
    Route("GET", f"{_PATH}/{{id}}", one, "posts.page_post", "A stored post"),
    Route(
        "POST",
        f"{_PATH}/{{id}}",
        annotate,
        "posts.page_annotate",
        "Tag or note a post",
        Right.CHANGE,
        body=Written,
        action="posts.annotate",
    ),
]
