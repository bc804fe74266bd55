"""Keywords that are tried, and posts that are shown as they come, in a browser."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, Route, expect

from tests import builders
from tests.browser.site import FLOWS, Look, Site, beside, check, look_away, opened_without
from tests.support import topics
from tests.support.topics import Raw
from tests.support.waiting import until

HOSTILE = '<img src=x onerror="document.title=1"> the <b>{word}</b> bursts'


def send(site: Site, *texts: str) -> None:
    now = int(time.time() * 1000)
    records = [
        Raw(builders.line(builders.status(text, id=builders.snowflake(now, sequence=number))), number % 4)
        for number, text in enumerate(texts)
    ]
    beside(lambda: topics.send(site.worker.settings, records))


@pytest.mark.parametrize("look", FLOWS, ids=str)
def test_keywords_are_tried_on_posts_that_are_kept(site: Site, look: Look) -> None:
    word = f"damm{look.width}"
    send(site, HOSTILE.format(word=word), f"the {word} holds", "nothing of that kind")
    with site.visit("ed", "editor", look) as page:
        page.get_by_role("link", name="Try keywords").click()
        page.get_by_label("Keywords, one a line").fill(f"{word}\n{word} bursts\nnowhere{look.width}")
        samples = page.locator("#preview-samples > li")

        def tried() -> bool:
            """A preview reads for some seconds only, in which a loaded machine may come to none of the posts."""
            button = page.get_by_role("button", name="Try")
            with page.expect_response("**/api/v1/preview", timeout=60_000):
                button.click()
            expect(button).to_be_enabled()  # it is not, until the answer is shown
            return samples.count() == 2

        until(tried, "both posts are found", 120, pause=8)
        bursts = samples.filter(has_text="bursts")
        expect(bursts.locator(".post-text")).to_have_text(HOSTILE.format(word=word))
        expect(bursts.locator("mark")).to_have_text([word, "bursts"])
        rows = page.locator("#preview-keywords tr")
        expect(rows.nth(0)).to_contain_text(word)
        expect(rows.nth(0).locator("td").first).to_have_text("2")
        expect(rows.filter(has_text="nowhere").locator("td").first).to_have_text("0")
        check(page)


def test_keywords_cannot_be_tried_before_the_page_can_ask(site: Site) -> None:
    with site.visit("ed", "editor") as page:
        held = opened_without(page, "/preview", "preview.js")
        button = page.get_by_role("button", name="Try")
        expect(button).to_be_disabled()
        held[0].continue_()
        expect(button).to_be_enabled()


def listening(page: Page, site: Site, word: str) -> None:
    """Return once the stream hands posts over; then there is none on the page."""
    shown = page.locator("#posts > li")

    def came() -> bool:
        send(site, f"{word} probe")
        page.wait_for_timeout(200)
        return shown.count() > 0

    until(came, "the first post is shown")
    send(site, f"{word} last probe")
    expect(shown.filter(has_text="last probe")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(shown).to_have_count(0)


@pytest.mark.parametrize("look", FLOWS, ids=str)
def test_what_is_said_now_is_shown_as_it_comes_and_can_be_held(site: Site, look: Look) -> None:
    word = f"wehr{look.width}"
    with site.visit("ed", "editor", look) as page:
        page.get_by_role("link", name="Now", exact=True).click()
        page.get_by_label("Query").fill(f"{word} bursts, {word} probe")
        page.get_by_role("button", name="Listen").click()
        expect(page.locator("#stream-state")).to_contain_text("Listening")
        listening(page, site, word)
        shown, state = page.locator("#posts > li"), page.locator("#stream-state")
        send(site, HOSTILE.format(word=word), f"the {word} holds")
        expect(shown.locator(".post-text")).to_have_text(HOSTILE.format(word=word))
        expect(shown.locator("mark")).to_have_text([word, "bursts"])
        hold = page.get_by_role("button", name="Hold")
        hold.click()
        send(site, f"{word} bursts again")
        expect(state).to_have_text("Held: 1 more have come.")
        expect(shown).to_have_count(1)
        hold.click()
        expect(shown.locator(".post-text").first).to_have_text(f"{word} bursts again")
        expect(state).to_contain_text("match.")
        check(page)


def test_who_did_not_look_on_is_told_what_is_not_shown(site: Site) -> None:
    with site.visit("ed", "editor") as page:
        page.clock.install()
        page.goto("/tail?query=schleuse")
        expect(page.locator("#stream-state")).to_contain_text("Listening")
        with page.expect_event("requestfailed", lambda request: "/tail" in request.url):
            look_away(page)
            page.clock.fast_forward(5_000)
        look_away(page, away=False)
        expect(page.locator("#posts > li")).to_contain_text("Nobody looked on from")
        listening(page, site, "schleuse")


def test_what_came_while_the_connection_was_broken_is_said_to_be_missing(site: Site) -> None:
    asked = []

    def broken_at_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=200, content_type="text/event-stream", body="retry: 100\n\n")
        else:
            route.continue_()

    with site.visit("ed", "editor") as page:
        page.route("**/api/v1/tail*", broken_at_first)
        page.goto("/tail?query=schleuse")
        expect(page.locator("#posts > li")).to_contain_text("Nobody looked on from")
        expect(page.locator("#stream-state")).to_contain_text("Listening")
