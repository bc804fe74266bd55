"""Stored posts as people find, tag and note them in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests import builders
from tests.browser.site import LOOKS, Look, Site, beside, check
from tests.support import events, topics
from tests.support.topics import Raw
from tests.support.waiting import until

HOSTILE = '<script>document.title = "hostile"</script> the dike holds, السد صامد'


@pytest.fixture(scope="module", autouse=True)
def stored(site: Site) -> None:
    """Sixty posts of an event, all in the index."""

    def fill() -> None:
        settings = site.worker.settings
        events.accepted(settings, events.create("dike", name="سد <b>dike</b>", keywords=("dike",)))
        texts = [f"dike number {n}" for n in range(59)] + [HOSTILE]
        lines = [
            builders.line(builders.status(text, id=builders.snowflake(sequence=n))) for n, text in enumerate(texts)
        ]
        topics.send(settings, [Raw(line, number % 4) for number, line in enumerate(lines)])
        topics.wait_drained(settings, "all")
        topics.wait_drained(settings, "indexer")

    beside(fill)


def test_a_post_is_searched_for_looked_at_and_tagged(site: Site) -> None:
    with site.visit("ed", "editor") as page:
        page.goto("/events/dike")
        page.get_by_role("link", name="Posts", exact=True).click()
        expect(page.locator("article")).to_have_count(50)
        page.get_by_role("link", name="Older").click()
        expect(page.locator("article")).to_have_count(10)
        page.get_by_label("Words").fill('"the dike holds"')
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator("article")).to_have_count(1)
        expect(page.locator("article mark").first).to_have_text("the dike holds")
        page.locator("article a").click()
        expect(page.get_by_role("heading", name="A post")).to_be_visible()
        page.get_by_label("Add tags").fill("Eye Witness")
        page.get_by_label("Note").fill("called back\nat noon")
        page.get_by_role("button", name="Write down").click()
        expect(page.get_by_role("status")).to_have_text("It is written down.")
        expect(page.locator(".tag")).to_have_text(["eye witness"])
        assert "hostile" not in page.title()


def test_how_far_the_index_is_stands_on_the_page_of_the_system(site: Site) -> None:
    with site.visit("vera", "viewer") as page:
        page.goto("/system")
        expect(page.locator("#now")).to_contain_text("The index by which posts are found is up to date.")


def test_all_that_a_search_finds_is_tagged_and_noted(site: Site) -> None:
    with site.visit("ed", "editor") as page:
        page.goto("/events/dike/posts?text=number")
        page.get_by_label("Add tags").fill("counted")
        page.get_by_label("Note, in the place of theirs").fill("of the first count")
        page.get_by_role("button", name="Write to what this search finds").click()
        expect(page.get_by_role("status")).to_contain_text("being written to")

        def done() -> bool:
            page.goto("/events/dike/posts?text=number")
            return "59 posts, done" in page.locator("main").inner_text()

        until(done, "all are tagged")
        page.get_by_label("Tags, with commas").fill("counted")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator("article")).to_have_count(50)
        expect(page.locator("article", has_text="of the first count")).to_have_count(50)


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_pages_are_usable(site: Site, look: Look) -> None:
    with site.visit("ed", "editor", look) as page:
        page.goto("/events/dike/posts?text=dike")
        check(page)
        page.locator("article a").first.click()
        expect(page.get_by_role("heading", name="A post")).to_be_visible()
        check(page)
        assert page.title().startswith("A post of سد")
