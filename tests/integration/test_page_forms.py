"""Every form and query of the pages, with nothing and nonsense in it: each is answered, none by an error of ours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from urllib.parse import quote_plus

from msgspec import Struct

from app.local.stack import Stack
from app.web.register import routes
from app.web.routes import Route
from tests.support import events
from tests.support.api import FORM, SECRET, Api, api, person
from tests.support.place import place
from tests.support.workers import worker

ROUTES = [route for route in routes() if route.method == "POST" and not route.of_api]
PAGES = [route for route in routes() if route.method == "GET" and not route.of_api and route.query is not None]
# As they are sent: the last two are no UTF-8, and half of a surrogate pair.
ODD = [quote_plus(one) for one in (" ", "\0", "-1", "1e400", "NaN", "9" * 40, "2026-13-45", "<b>'\";", "x" * 3000)]
ODD += ["%FF%FE", "%ED%A0%80"]


def test_no_form_however_filled_is_answered_by_an_error_of_ours(stack: Stack) -> None:
    with place(stack, token_secret=SECRET) as settings, worker(settings, "all") as started:
        started.wait_ready(120)
        ada = api(started)
        codes = {route.name: f"e{number}" for number, route in enumerate(ROUTES) if "{code}" in route.path}
        events.accepted(settings, *(events.create(code, keywords=("water",)) for code in codes.values()))
        person(settings, "emil", "viewer")
        answered = {}
        for route in ROUTES:
            path = route.path.format(code=codes.get(route.name), name="emil", id="none")
            for form in _forms(route):
                answered[route.name, form] = ada.send("POST", path, form.encode(), media=FORM).status
        assert {asked: status for asked, status in answered.items() if status >= 500} == {}
        _queries_are_answered(ada)
        _what_is_no_form_is_refused(ada)
        assert "a request failed" not in started.log


def _queries_are_answered(ada: Api) -> None:
    """Those of pages; of the API schemathesis sends them."""
    answered = {}
    for route in PAGES:
        path = route.path.format(code="e0", id="none")
        for query in _filled(route.query.__struct_fields__ if route.query else ()):
            answered[route.name, query] = ada.send("GET", f"{path}?{query}").status
    assert {asked: status for asked, status in answered.items() if status >= 500} == {}


def _forms(route: Route) -> list[str]:
    fields = route.body.__struct_fields__ if isinstance(route.body, type) and issubclass(route.body, Struct) else ()
    return _filled(fields)


def _filled(fields: Sequence[str]) -> list[str]:
    """Nothing; every field with the same nonsense; each alone with some."""
    all_alike = ["&".join(f"{field}={odd}" for field in fields) for odd in ODD] if fields else []
    return ["", *all_alike, *(f"{field}={odd}" for field, odd in zip(fields, cycle(ODD), strict=False))]


def _what_is_no_form_is_refused(ada: Api) -> None:
    file = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nemil\r\n--x--\r\n'
    for media, body, status in (
        ("multipart/form-data; boundary=x", file, 415),
        ("multipart/form-data", b"", 415),
        (f"{FORM}; charset=klingon", b"name=emil", 400),
        (FORM, b"&".join(b"name=emil" for _ in range(2000)), 413),
    ):
        assert ada.send("POST", "/people", body, media=media).status == status, media
