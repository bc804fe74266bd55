"""A Starling as a person at a browser has it before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page

from app.domain.people import Rank
from tests.support.api import Api, api
from tests.support.workers import Worker

PATIENCE_MS = 60_000


T = TypeVar("T")


def beside(act: Callable[[], T]) -> T:
    """Do it in a thread of its own: Playwright's loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(act).result()


class Look(NamedTuple):
    """A screen."""

    width: int
    scheme: Any  # light or dark


LOOKS = [Look(1280, "light"), Look(1280, "dark"), Look(390, "light"), Look(390, "dark")]


class Site:
    """One of a module."""

    def __init__(self, worker: Worker, browser: Browser) -> None:
        self.worker = worker
        self.browser = browser
        self._people: dict[str, Api] = {}

    def api(self, name: str = "ada", rank: Rank = "admin") -> Api:
        """The API as somebody uses it."""
        if name not in self._people:
            self._people[name] = beside(lambda: api(self.worker, name, rank))
        return self._people[name]

    @contextmanager
    def visitor(self, look: Look = LOOKS[0]) -> Iterator[Page]:
        """A page of a browser that nobody is signed in with; what its console complains of is an error."""
        context = self.browser.new_context(
            base_url=f"http://127.0.0.1:{self.worker.port}",
            viewport={"width": look.width, "height": 900},
            color_scheme=look.scheme,
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.extend(_complaint(said)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            yield page
            assert not complaints
        finally:
            context.close()

    @contextmanager
    def visit(self, name: str = "ada", rank: Rank = "admin", look: Look = LOOKS[0]) -> Iterator[Page]:
        """A page of somebody who has signed in."""
        token = self.api(name, rank).token
        with self.visitor(look) as page:
            page.goto("/sign-in")
            page.get_by_label("Token").fill(token or "")
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/")
            yield page


def _complaint(said: ConsoleMessage) -> list[str]:
    # A form that is refused is answered by 4xx, which the browser tells as an error.
    return [said.text] if said.type == "error" and "status of 4" not in said.text else []


def check(page: Page) -> None:
    """That a page shown is usable: no serious fault of accessibility, and nothing wider than the screen."""
    found = Axe().run(page).response["violations"]
    serious = [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert not serious, (page.url, serious)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} pixels too wide"
