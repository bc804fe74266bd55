"""The live part of an event's page and the dashboard, as people see them in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.clients import tokens
from app.local.stack import Stack
from tests import builders
from tests.browser.site import beside
from tests.support import events
from tests.support.api import SECRET, Api, api, person
from tests.support.chain import Chain, chain
from tests.support.topics import Raw
from tests.support.waiting import until

NAME = 'فيضان 洪水 <script>document.title = "hostile"</script>'
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title = "hostile"</script> the rotwasser rises'
WITHIN = 30_000  # ms
SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    with chain(stack, "manager", "worker", token_secret=SECRET) as made:
        events.accepted(made.settings, events.create("flood", name=NAME, keywords=("rotwasser",)))
        yield made


@contextmanager
def signed_in(running: Chain, browser: Browser, width: int = 1280, scheme: str = "light") -> Iterator[Page]:
    """A page of somebody who came by a link; nothing but our server is asked for anything."""
    manager = running.workers["manager"]
    made = beside(lambda: person(running.settings, "ada", "admin"))
    beside(lambda: api(manager))
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.set_default_timeout(WITHIN)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(urlsplit(request.url).netloc))
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        link = tokens.issue(SECRET, "link", "ada", made.epoch, 3600)
        page.goto(f"http://127.0.0.1:{manager.port}/welcome?token={link}")
        yield page
        assert set(asked) == {f"127.0.0.1:{manager.port}"}
        assert wrong == []
    finally:
        context.close()


def address(running: Chain, path: str) -> str:
    return f"http://127.0.0.1:{running.workers['manager'].port}{path}"


def send(running: Chain, count: int, first: int, text: str = "the rotwasser rises", **more: object) -> None:
    now = int(time.time() * 1000)
    lines = [
        builders.line(builders.status(f"{text} {number}", id=builders.snowflake(now, sequence=number), **more))
        for number in range(first, first + count)
    ]
    beside(lambda: running.send(Raw(b"\n".join(lines), first % 4)))


def check_usable(page: Page) -> None:
    """No serious fault of accessibility, and nothing that is wider than the screen."""
    found = Axe().run(page)
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == [], [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in serious]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_posts_arrive_can_be_held_and_are_shown_as_they_are(running: Chain, browser: Browser) -> None:
    with signed_in(running, browser) as page:
        page.goto(address(running, "/events/flood"))
        expect(page.locator("h1")).to_have_text(NAME)
        expect(page.locator("#stream-state")).to_have_text("Live.")
        send(running, 1, 1, HOSTILE, entities={"media": [builders.picture()]})
        expect(page.locator("#posts .text")).to_have_text(f"{HOSTILE} 1")
        expect(page.locator(".figures")).to_contain_text("1 posts")
        link = page.get_by_role("link", name="Open the post")
        expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        expect(page.locator("#posts img")).to_have_count(0)
        page.get_by_role("button", name="Hold").click()
        send(running, 3, 10)
        expect(page.locator("#stream-state")).to_have_text("Held: 3 more have come.")
        expect(page.locator("#posts > li")).to_have_count(1)
        page.get_by_role("button", name="Hold").click()
        expect(page.locator("#posts > li")).to_have_count(4)
        page.get_by_role("link", name="last day").click()
        expect(page.locator("#span-day")).to_have_attribute("aria-current", "true")
        expect(page.locator(".bar")).to_have_count(1)
        assert "hostile" not in page.title().replace(NAME, "")
        page.reload()
        expect(page.locator("#posts > li")).to_have_count(4)


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_pages_are_usable_at_every_size(running: Chain, browser: Browser, width: int, scheme: str) -> None:
    beside(lambda: running.send(Raw(b"{neither <script>", 0)))
    viewer = beside(lambda: api(running.workers["manager"]))
    until(lambda: viewer.get("/api/v1/dead-letters")["all"], "there is a dead letter")
    send(running, 2, 100)
    with signed_in(running, browser, width, scheme) as page:
        for path in ("/events/flood", "/system", "/dead-letters"):
            page.goto(address(running, path))
            check_usable(page)
        page.get_by_role("link", name=":0:", exact=False).first.click()
        expect(page.locator("pre")).to_have_text("{neither <script>")
        check_usable(page)


def test_the_dashboard_shows_events_processes_and_sends_a_dead_letter_once_more(
    running: Chain, browser: Browser
) -> None:
    beside(lambda: running.send(Raw(b"{nor", 0)))
    viewer = beside(lambda: api(running.workers["manager"]))
    until(lambda: "{nor" in _bytes_of(viewer.get("/api/v1/dead-letters"), viewer), "the dead letter is known")
    with signed_in(running, browser) as page:
        page.goto(address(running, "/system"))
        expect(page.get_by_role("link", name=NAME)).to_be_visible()
        expect(page.locator("#now")).to_contain_text("at work")
        expect(page.locator("#now")).to_contain_text("Kafka: answers")
        expect(page.locator("#now")).to_contain_text("Cassandra: answers")
        expect(page.locator("#now")).to_contain_text("raw_tweets 0, 1, 2, 3")
        page.get_by_role("link", name="dead letter").click()
        page.get_by_role("button", name="Send the oldest of not JSON once more").click()
        expect(page.get_by_role("status")).to_contain_text("sent once more")
        expect(page.locator("tbody").last).to_contain_text("by ada")


def _bytes_of(listed: dict[str, Any], viewer: Api) -> list[str]:
    return [viewer.get(f"/api/v1/dead-letters/one?id={one['letter']['id']}")["bytes"] for one in listed["letters"]]
