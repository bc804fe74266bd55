"""A Starling as a person at a browser has it before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, StorageState

from app.domain.people import Rank
from tests.support.api import Api, api
from tests.support.workers import Worker

PATIENCE_MS = 30_000


T = TypeVar("T")


def beside(act: Callable[[], T]) -> T:
    """Do it in a thread of its own: Playwright's loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(act).result()


class Look(NamedTuple):
    """A screen."""

    width: int
    scheme: Any  # light or dark

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}"


LOOKS = [Look(1280, "light"), Look(1280, "dark"), Look(390, "light"), Look(390, "dark")]
FLOWS = [LOOKS[0], LOOKS[3]]  # of what people do from page to page: once at each width, once in each scheme


class Site:
    """One of a module."""

    def __init__(self, worker: Worker, browser: Browser) -> None:
        self.worker = worker
        self.browser = browser
        self._people: dict[str, Api] = {}
        self._sessions: dict[str, StorageState] = {}  # sign-ins of an address are limited

    def api(self, name: str = "ada", rank: Rank = "admin") -> Api:
        """The API as somebody uses it."""
        if name not in self._people:
            self._people[name] = beside(lambda: api(self.worker, name, rank))
        return self._people[name]

    @contextmanager
    def visitor(self, look: Look = LOOKS[0], session: StorageState | None = None) -> Iterator[Page]:
        """A page of a browser that nobody is signed in with, unless a session is given.

        What its console complains of is an error, and so is a request to anybody but our server.
        """
        ours = f"127.0.0.1:{self.worker.port}"
        context = self.browser.new_context(
            base_url=f"http://{ours}",
            viewport={"width": look.width, "height": 900},
            color_scheme=look.scheme,
            storage_state=session,
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.extend(_complaint(said)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        asked = {ours}
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        try:
            yield page
            assert not complaints
            assert asked == {ours}
        finally:
            context.close()

    @contextmanager
    def visit(self, name: str = "ada", rank: Rank = "admin", look: Look = LOOKS[0]) -> Iterator[Page]:
        """A page of somebody who has signed in."""
        token = self.api(name, rank).token
        with self.visitor(look, self._sessions.get(name)) as page:
            if name in self._sessions:
                page.goto("/")
            else:
                page.goto("/sign-in")
                page.get_by_label("Token").fill(token or "")
                page.get_by_role("button", name="Sign in").click()
                page.wait_for_url("**/")
                self._sessions[name] = page.context.storage_state()
            yield page


def _complaint(said: ConsoleMessage) -> list[str]:
    # A form that is refused is answered by 4xx, a request that a test cuts off fails: a browser tells both as errors.
    usual = any(one in said.text for one in ("status of 4", "net::ERR_FAILED"))
    return [said.text] if said.type == "error" and not usual else []


def opened_without(page: Page, path: str, script: str) -> list[Route]:
    """Open a page whose script does not come before the first of these is told to `continue_`; the list fills later."""
    held: list[Route] = []
    page.route(f"**/{script}*", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright marks it
    with page.expect_request(f"**/{script}*"):
        page.goto(path, wait_until="commit")
    return held


def look_away(page: Page, *, away: bool = True) -> None:
    """Have a page take itself for hidden, or for seen again: a browser without a screen hides none."""
    page.evaluate(
        "away => { Object.defineProperty(document, 'hidden', {get: () => away, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        away,
    )


# Of Latin letters: others have words without a blank between them, or are broken anywhere.
_BROKEN = """() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
    const broken = new Set();
    while (texts.nextNode()) {
        for (const word of texts.currentNode.data.matchAll(/[^\\s-]+/gu)) {
            if (!/^[\\p{Script=Latin}\\p{N}\\p{P}]{2,14}$/u.test(word[0])) continue;
            range.setStart(texts.currentNode, word.index);
            range.setEnd(texts.currentNode, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map((one) => one.top)).size > 1) broken.add(word[0]);
        }
    }
    return [...broken];
}"""


def check(page: Page) -> None:
    """That a page is usable: no serious fault of accessibility, nothing wider than the screen, no usual word broken."""
    page.wait_for_load_state()  # with its stylesheets: what is seen in it may be there before them
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
    assert page.evaluate(_BROKEN) == [], page.url
