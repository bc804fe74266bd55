"""The live part of an event's page and the dashboard, as people see them in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from app.clients import tokens
from app.local.stack import Stack
from tests import builders
from tests.browser.site import FLOWS, LOOKS, Look, Site, beside, check, look_away
from tests.support import events
from tests.support.api import SECRET, Api
from tests.support.chain import Chain, chain
from tests.support.topics import Raw
from tests.support.waiting import until

NAME = 'فيضان 洪水 <script>document.title = "hostile"</script>'
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title = "hostile"</script> the {word} rises'
# The page then looks only when it is told to, never by itself.
NO_CLOCK = "{ const timer = setTimeout; window.setTimeout = (act, ms) => (ms > 500 ? 0 : timer(act, ms)); }"


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    with chain(stack, "manager", "worker", token_secret=SECRET) as made:
        yield made


@pytest.fixture(scope="module")
def site(running: Chain, browser: Browser) -> Site:
    return Site(running.workers["manager"], browser)


def collecting(site: Site, word: str) -> str:
    """The page of an event that collects the posts with a word."""
    settings = site.worker.settings
    beside(lambda: events.accepted(settings, events.create(word, name=NAME, keywords=(word,))))
    viewer = site.api()
    beside(lambda: until(lambda: viewer.send("GET", f"/api/v1/events/{word}").status == 200, "it is known"))
    return f"/events/{word}"


def send(
    running: Chain,
    word: str,
    count: int,
    first: int,
    text: str = "the {word} rises",
    at: int | None = None,
    **more: object,
) -> None:
    """Posts of this moment, or of the one given: milliseconds since 1970."""
    at = at or int(time.time() * 1000)
    lines = [
        builders.line(
            builders.status(f"{text.format(word=word)} {number}", id=builders.snowflake(at, sequence=number), **more)
        )
        for number in range(first, first + count)
    ]
    beside(lambda: running.send(Raw(b"\n".join(lines), first % 4)))


def test_what_its_author_calls_sensitive_is_closed_until_somebody_opens_it(running: Chain, site: Site) -> None:
    path = collecting(site, "grauwasser")
    with site.visit() as page:
        page.goto(path)
        expect(page.locator("#stream-state")).to_have_text("Live.")
        send(running, "grauwasser", 1, 1, possibly_sensitive=True)
        send(running, "grauwasser", 1, 2)
        expect(page.locator("#posts > li")).to_have_count(2)
        for _ in ("as it came", "as it is drawn by the server"):
            closed = page.locator("#posts > li", has_text="rises 1")
            expect(closed.locator(".text")).to_be_hidden()
            expect(page.locator("#posts > li", has_text="rises 2").locator(".text")).to_be_visible()
            closed.get_by_text("Marked as sensitive").click()
            expect(closed.locator(".text")).to_be_visible()
            page.route("**/live", lambda route: route.abort())
            page.reload()


@pytest.mark.parametrize("look", FLOWS, ids=str)
def test_posts_arrive_can_be_held_and_are_shown_as_they_are(running: Chain, site: Site, look: Look) -> None:
    word = f"rotwasser{look.width}"
    path = collecting(site, word)
    now = int(time.time() * 1000)  # an hour that ends between them would make two bars of them
    with site.visit(look=look) as page:
        page.goto(path)
        expect(page.locator("h1")).to_have_text(NAME)
        expect(page.locator("#stream-state")).to_have_text("Live.")
        send(running, word, 1, 1, HOSTILE, now, entities={"media": [builders.picture()]})
        expect(page.locator("#posts .text")).to_have_text(f"{HOSTILE.format(word=word)} 1")
        expect(page.locator(".figures")).to_contain_text("1 posts")
        link = page.get_by_role("link", name="Open the post")
        expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        expect(page.locator("#posts img")).to_have_count(0)
        page.get_by_role("button", name="Hold").click()
        send(running, word, 3, 10, at=now)
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


def test_figures_are_shown_as_soon_as_they_change(running: Chain, site: Site) -> None:
    path = collecting(site, "pegel")
    with site.visit() as page:
        page.add_init_script(NO_CLOCK)
        page.goto(path)
        expect(page.locator("#stream-state")).to_have_text("Live.")
        for count in (1, 2):
            send(running, "pegel", 1, count)
            expect(page.locator(".figures")).to_contain_text(f"{count} posts")


def test_a_page_that_nobody_sees_lets_go_of_its_stream_and_catches_up(running: Chain, site: Site) -> None:
    path = collecting(site, "deich")
    with site.visit() as page:
        page.clock.install()
        page.goto(path)
        expect(page.locator("#stream-state")).to_have_text("Live.")
        send(running, "deich", 2, 1)
        shown = page.locator("#posts .text")
        expect(shown).to_have_count(2)
        with page.expect_event("requestfailed", lambda request: "/live" in request.url):
            look_away(page)
            page.clock.fast_forward(5_000)
        send(running, "deich", 2, 3)
        viewer = site.api()
        beside(lambda: until(lambda: viewer.get("/api/v1/events/deich/figures")["posts"] == 4, "all are counted"))
        assert shown.count() == 2
        look_away(page, away=False)
        expect(shown).to_have_count(4)
        assert {text[-1] for text in shown.all_inner_texts()} == set("1234")
        expect(page.locator(".figures")).to_contain_text("4 posts")


def test_many_tabs_of_a_browser_do_not_keep_each_other_waiting(running: Chain, site: Site) -> None:
    path = collecting(site, "tabs")
    with site.visit() as page:
        for _ in range(7):  # one more than a browser has connections to a site
            tab = page.context.new_page()
            tab.add_init_script("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
            tab.goto(path)
        page.goto(path)
        expect(page.locator("#stream-state")).to_have_text("Live.")


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_pages_are_usable_at_every_size(running: Chain, site: Site, look: Look) -> None:
    beside(lambda: running.send(Raw(b"{neither <script>", 0)))
    viewer = site.api()
    until(lambda: viewer.get("/api/v1/dead-letters")["all"], "there is a dead letter")
    path = collecting(site, f"schaum{look}")
    send(running, f"schaum{look}", 2, 100)
    with site.visit(look=look) as page:
        for one in (path, "/system", "/dead-letters"):
            page.goto(one)
            check(page)
        page.get_by_role("link", name=":0:", exact=False).first.click()
        expect(page.locator("pre")).to_have_text("{neither <script>")
        check(page)


def test_the_dashboard_shows_events_processes_and_sends_a_dead_letter_once_more(running: Chain, site: Site) -> None:
    beside(lambda: running.send(Raw(b"{nor", 0)))
    viewer = site.api()
    until(lambda: "{nor" in _bytes_of(viewer.get("/api/v1/dead-letters"), viewer), "the dead letter is known")
    collecting(site, "overview")
    with site.visit() as page:
        page.goto("/system")
        expect(page.get_by_role("link", name=NAME).first).to_be_visible()
        expect(page.locator("#now")).to_contain_text("at work")
        expect(page.locator("#now")).to_contain_text("Kafka: answers")
        expect(page.locator("#now")).to_contain_text("Cassandra: answers")
        expect(page.locator("#now")).to_contain_text("raw_tweets 0, 1, 2, 3")
        page.get_by_role("region", name="Reasons").get_by_role("button", name="Send the oldest of not JSON").click()
        expect(page.get_by_role("status")).to_contain_text("sent once more")
        expect(page.locator("tbody").last).to_contain_text("by ada")


@pytest.mark.parametrize("part", ["event", "system"])
def test_a_page_that_gets_no_answer_says_of_when_it_is(running: Chain, site: Site, part: str) -> None:
    path = collecting(site, "stale") if part == "event" else "/system"
    with site.visit() as page:
        page.clock.install()
        page.route("**/now?*", lambda route: route.abort())
        page.goto(path)
        expect(page.locator("#stale")).to_contain_text("UTC: the server does not answer")
        page.unroute("**/now?*")
        page.clock.fast_forward(15_000)
        expect(page.locator("#stale")).to_be_empty()


@pytest.mark.parametrize("part", ["event", "system", "exports"])
def test_a_page_of_somebody_who_is_signed_out_says_so(running: Chain, site: Site, part: str) -> None:
    path = "/system" if part == "system" else collecting(site, f"left-{part}")
    path += "/exports" if part == "exports" else ""
    with site.visit() as page:
        page.clock.install()
        page.goto(path)
        page.context.clear_cookies()
        page.clock.fast_forward(15_000)
        expect(page.locator("#stale")).to_contain_text("UTC: you are signed out: load the page again")


def test_a_link_signs_in_once(site: Site) -> None:
    site.api("lena", "viewer")
    link = tokens.issue(SECRET, "link", "lena", 0, 3600)
    with site.visitor() as page:
        page.goto(f"/welcome?token={link}")
        check(page)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Events")
    with site.visitor() as page:
        page.goto(f"/welcome?token={link}")
        expect(page.get_by_role("alert")).to_contain_text("This link does not sign in")


def _bytes_of(listed: dict[str, Any], viewer: Api) -> list[str]:
    return [viewer.get(f"/api/v1/dead-letters/one?id={one['letter']['id']}")["bytes"] for one in listed["letters"]]
