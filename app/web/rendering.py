"""Makes HTML of templates. Everything shown is escaped; a name that a template misspells is an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from app.domain.people import Right

HERE = Path(__file__).parent
STATIC = HERE / "static"
PLACES = (  # of the navigation: path, name, right
    ("/", "Events", Right.VIEW),
    ("/preview", "Try keywords", Right.VIEW),
    ("/tail", "Now", Right.VIEW),
    ("/system", "System", Right.VIEW),
    ("/notices", "Notices", Right.VIEW),
    ("/people", "People", Right.ADMIN),
    ("/audit", "Audit log", Right.ADMIN),
    ("/api/v1/docs", "API", Right.VIEW),
)
EVENT_PLACES = (  # of an event's own: path beyond its page, name, right
    ("", "Overview", Right.VIEW),
    ("/posts", "Posts", Right.VIEW),
    ("/exports", "Exports", Right.VIEW),
    ("/history", "History", Right.VIEW),
    ("/edit", "Edit", Right.CHANGE),
    ("/manage", "Manage", Right.CHANGE),
)


class Rendering:
    """The templates of this version."""

    def __init__(self) -> None:
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"moment": moment, "number": number, "address": address}
        self._templates.globals |= {"static": _static, "places": PLACES, "event_places": EVENT_PLACES}

    def page(self, template: str, shown: Mapping[str, object]) -> str:
        """A page, or a part of one."""
        return self._templates.get_template(template).render(shown)


def moment(at: datetime | int | None) -> Markup:
    """A time, or milliseconds since 1970, in UTC; static/times.js adds the reader's local time."""
    if at is None:
        return Markup("")
    if isinstance(at, int):
        at = datetime.fromtimestamp(at / 1000, UTC)
    at = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M:%S} UTC"
    )


def number(value: float) -> str:
    """A number with its thousands apart."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:,.1f}"


def address(part: str) -> str:
    """A part of a path, which may itself hold slashes."""
    return quote(part, safe="")


_marks: dict[str, str] = {}


def _static(name: str) -> str:
    """The address of a file, which changes when the file does."""
    if name not in _marks:
        _marks[name] = blake2b((STATIC / name).read_bytes(), digest_size=6).hexdigest()
    return f"/static/{name}?{_marks[name]}"
