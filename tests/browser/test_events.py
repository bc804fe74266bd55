"""Events as people make, change and end them in a browser, and the list of all of them."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests import builders
from tests.browser.site import FLOWS, LOOKS, Look, Site, beside, check, opened_without
from tests.support import events, topics
from tests.support.topics import Raw

NAMES = {
    "arabic": "فيضان النهر",
    "japanese": "洪水の知らせ",
    "hostile": "<script>alert(1)</script>",
}
MANY = 1000
FIRST_PAGE_BYTES = 200_000


@pytest.fixture(scope="module", autouse=True)
def standing(site: Site) -> None:
    """A thousand events beside three whose names are no plain English."""
    made = [events.active(f"many-{number:04}", f"place{number:04}") for number in range(MANY)]

    def put() -> None:
        for code, name in NAMES.items():
            events.accepted(site.worker.settings, events.create(code, name=name, keywords=("brook", name)))
        events.put_events(site.worker.settings, made)

    beside(put)
    told = site.api()
    beside(lambda: topics.until(lambda: told.get("/api/v1/events")["all"] == MANY + len(NAMES), "all are known"))


def new(page: Page, name: str, keywords: str, code: str = "") -> None:
    """Create an event by the form, which a link of the first page leads to."""
    page.goto("/")
    page.get_by_role("link", name="New event").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Code").fill(code)
    page.get_by_label("Keywords, one a line").fill(keywords)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("The event is created.")).to_be_visible()


def press(page: Page, button: str, said: str, status: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator(".said")).to_have_text(said)
    expect(page.locator(".facts .status")).to_have_text(status)


@pytest.mark.parametrize("look", FLOWS, ids=str)
def test_an_event_is_created_collects_and_is_changed(site: Site, look: Look) -> None:
    word = f"talbach{look.width}"
    with site.visit("ed", "editor", look) as page:
        new(page, f"The {word} rises", word, word)
        expect(page.locator(".facts")).to_contain_text(f"active · {word} · version 1")
        expect(page.locator("#stream-state")).to_have_text("Live.")
        post = builders.status(f"the {word} rises", id=builders.snowflake(int(time.time() * 1000)))
        beside(lambda: topics.send(site.worker.settings, [Raw(builders.line(post), 0)]))
        expect(page.locator("#posts .text")).to_have_text(f"the {word} rises")
        expect(page.locator(".figures")).to_contain_text("1 posts")
        check(page)

        page.get_by_role("link", name="Edit", exact=True).click()
        keywords = page.get_by_label("Keywords, one a line")
        advice = page.get_by_role("list", name="Advice on the keywords")
        keywords.fill(f"{word}\nthe\nbrook\n{word.upper()}")
        expect(advice.locator(".bad")).to_contain_text(f"the same as '{word}'")
        expect(advice).to_contain_text("stands in very many posts")
        expect(advice).to_contain_text("hostile")
        page.get_by_label("Why").fill("it has a second name")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text(word.upper())
        expect(keywords).to_have_value(f"{word}\nthe\nbrook\n{word.upper()}")
        keywords.fill(f"{word}\nbrook")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".said")).to_have_text("Saved: version 2.")

        page.get_by_role("link", name="History", exact=True).click()
        change = page.get_by_role("row").nth(1)
        expect(change).to_contain_text("it has a second name")
        expect(change).to_contain_text("ed")
        expect(change.locator("ins")).to_have_text("added brook")
        expect(change.locator("del")).to_have_count(0)
        check(page)


def test_what_was_typed_before_the_script_came_gets_advice(site: Site) -> None:
    with site.visit("ed", "editor") as page:
        held = opened_without(page, "/new", "keywords.js")
        page.get_by_label("Keywords, one a line").fill("the")
        held[0].continue_()
        advice = page.get_by_role("list", name="Advice on the keywords")
        expect(advice).to_contain_text("stands in very many posts")


@pytest.mark.parametrize("look", FLOWS, ids=str)
def test_an_event_is_paused_resumed_stopped_cloned_and_deleted(site: Site, look: Look) -> None:
    word = f"sturm{look.width}"
    with site.visit("ed", "editor", look) as page:
        new(page, f"The {word}", word, word)
        press(page, "Pause collection", "It is paused.", "paused")
        press(page, "Resume collection", "It collects again.", "active")
        page.get_by_role("link", name="Manage").click()
        expect(page.get_by_text("stop it first")).to_be_visible()
        page.get_by_label("It hears").select_option("the last 3 days")
        page.locator("select[name=source]").select_option("bluesky")
        page.get_by_role("button", name="Hear", exact=True).click()
        expect(page.locator(".said")).to_have_text("It hears the past.")
        asked = page.locator("dt", has_text="Hearing the past from bluesky").locator("+ dd")
        expect(asked).to_contain_text(": asked, 0 posts found")  # no tracker runs here
        page.get_by_label("Why").fill("the wind has gone")
        press(page, "Stop collection", "It is stopped.", "stopped")

        page.get_by_role("link", name="Manage").click()
        page.get_by_label("Name", exact=True).fill(f"The next {word}")
        page.get_by_role("button", name="Clone").click()
        expect(page.locator(".said")).to_have_text("This is the clone, a draft.")
        expect(page.locator(".facts")).to_contain_text(f"draft · the-next-{word} · version 1")
        expect(page.locator(".chips")).to_have_text(word)

        page.goto(f"/events/{word}/manage")
        confirm = page.locator("form[action$=delete]").get_by_label(f"Type {word} to confirm")
        confirm.fill(f"the-next-{word}")
        page.get_by_role("button", name="Delete the event").click()
        expect(page.get_by_role("alert")).to_have_text(f"type the code {word} to confirm")
        confirm.fill(word)
        page.get_by_role("button", name="Delete the event").click()
        expect(page.locator(".said")).to_have_text(f"The {word} is deleted; its posts stay.")
        page.get_by_label("Search").fill(word)
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody")).to_contain_text(f"the-next-{word}")
        page.goto(f"/events/{word}/history")
        expect(page.locator("tbody")).to_contain_text("the wind has gone")


def test_who_saves_second_sees_both_versions_and_may_save_over(site: Site) -> None:
    with site.visit("ed", "editor") as slow, site.visit("eva", "editor") as fast:
        new(slow, "The fire", "fire", "fire")
        for page in (slow, fast):
            page.goto("/events/fire/edit")
        fast.get_by_label("Keywords, one a line").fill("fire\nfeuer")
        fast.get_by_role("button", name="Save", exact=True).click()
        expect(fast.locator(".said")).to_have_text("Saved: version 2.")
        slow.get_by_label("Keywords, one a line").fill("fire\nfuego")
        with slow.expect_response("**/edit") as answered:
            slow.get_by_role("button", name="Save", exact=True).click()
        assert answered.value.status == 409
        conflict = slow.get_by_role("alert", name="Conflict")
        expect(conflict).to_contain_text("version 2 is by eva")
        expect(conflict).to_contain_text("struck out: only theirs; underlined: only yours")
        expect(conflict.locator("del")).to_have_text("removed feuer")
        expect(conflict.locator("ins")).to_have_text("added fuego")
        expect(slow.get_by_label("Keywords, one a line")).to_have_value("fire\nfuego")
        check(slow)
        slow.get_by_role("button", name="Save over theirs").click()
        expect(slow.locator(".said")).to_have_text("Saved: version 3.")
        expect(slow.locator(".chips").first).to_have_text("firefuego")


@pytest.mark.parametrize("look", FLOWS, ids=str)
def test_whoever_has_a_wrong_token_is_told_so_and_stays_outside(site: Site, look: Look) -> None:
    token = site.api(f"visitor{look.width}", "viewer").token or ""
    with site.visitor(look) as page:
        page.goto("/events/arabic")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        for wrong in ("nonsense", token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]):
            page.get_by_label("Token").fill(wrong)
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("alert")).to_be_visible()
            expect(page.get_by_label("Token")).to_have_value("")
            assert page.context.cookies() == []
            check(page)
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(NAMES["arabic"])
        expect(page.get_by_role("link", name="Edit", exact=True)).to_have_count(0)
        expect(page.get_by_role("button", name="Pause collection")).to_have_count(0)
        page.get_by_role("button", name="Sign out").click()
        page.goto("/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize("code", NAMES)
def test_a_name_in_any_script_is_shown_as_it_is_everywhere(site: Site, code: str) -> None:
    with site.visit() as page:
        page.on("dialog", lambda dialog: pytest.fail(f"{page.url} shows {dialog.message}"))
        for part in ("", "/history", "/edit", "/manage", "/posts", "/exports"):
            page.goto(f"/events/{code}{part}")
            expect(page.get_by_role("heading", level=1)).to_have_text(NAMES[code])
            assert NAMES[code] in page.title()
        page.goto(f"/events/{code}/edit")
        expect(page.get_by_label("Name", exact=True)).to_have_value(NAMES[code])
        page.get_by_label("Name", exact=True).fill(f"{NAMES[code]} 2")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("link", name="History", exact=True).click()
        expect(page.locator("ins").first).to_have_text(f"to {NAMES[code]} 2")
        page.goto(f"/?text={code}")
        expect(page.locator("tbody").get_by_role("link")).to_have_text([f"{NAMES[code]} 2"])
        page.get_by_label("Search").fill(NAMES[code])
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody").get_by_role("link")).to_have_text([f"{NAMES[code]} 2"])


def test_a_thousand_events_are_searched_filtered_sorted_and_paged(site: Site) -> None:
    with site.visit("vera", "viewer") as page:
        links = page.locator("tbody").get_by_role("link")
        page.get_by_label("Search").fill("PLACE0042")
        page.get_by_role("button", name="Show").click()
        expect(links).to_have_text(["many-0042"])
        page.get_by_label("Search").fill("many-")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("1,000 events")).to_be_visible()
        expect(links).to_have_count(100)
        expect(links.first).to_have_text("many-0000")
        page.get_by_role("link", name="More").click()
        expect(links.first).to_have_text("many-0100")
        page.get_by_role("link", name="Before").click()
        expect(links.first).to_have_text("many-0000")
        page.get_by_label("Descending").check()
        page.get_by_label(re.compile("^Sort")).select_option("code")
        page.get_by_label(re.compile("^Status")).select_option("active")
        page.get_by_role("button", name="Show").click()
        expect(links.first).to_have_text("many-0999")
        page.get_by_role("link", name="More").click()
        expect(links.first).to_have_text("many-0899")
        expect(page.get_by_label("Descending")).to_be_checked()
        page.get_by_label(re.compile("^Status")).select_option("paused")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("There is no event yet that this finds.")).to_be_visible()


def test_the_first_page_is_small(site: Site) -> None:
    """Of a thousand events, with all that the way to it loads into an empty cache."""
    token = site.api().token or ""
    with site.visitor() as page:
        fetched: list[Request] = []
        page.on("requestfinished", lambda one: fetched.append(one))  # noqa: PLW0108 -- Playwright takes no builtin
        page.goto("/")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("tbody tr")).to_have_count(100)
        page.wait_for_load_state("networkidle")
        sizes = {one.url: one.sizes()["responseBodySize"] for one in fetched}
        assert {".css", ".js"} <= {Path(urlsplit(url).path).suffix for url in sizes}
        assert sum(sizes.values()) < FIRST_PAGE_BYTES, sizes


def test_no_browser_keeps_a_file_of_the_pages_unasked(site: Site) -> None:
    """Scripts import others by their plain names: beside one of the version before, a new one would not run."""
    caller = site.api()
    answers = [beside(lambda name=name: caller.send("GET", f"/static/{name}")) for name in ("live.js", "flow.js")]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-cache"] * 2


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_pages_are_usable(site: Site, look: Look) -> None:
    with site.visitor(look) as page:
        page.goto("/sign-in")
        check(page)
    with site.visit(look=look) as page:
        check(page)
        for path in ("/new", "/import", "/preview", "/tail", "/notices", "/people", "/audit", "/events/none"):
            page.goto(path)
            check(page)
        for part in ("", "/history?moment=2026-01-01T00:00", "/edit", "/manage"):
            page.goto(f"/events/hostile{part}")
            check(page)


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_pages_are_usable_whatever_is_long(site: Site, look: Look) -> None:
    code, who = "c" * 63, "oidc:first.last@department.university.example.org"
    names = ("w" * 100, who)
    caller, _ = (site.api(name) for name in names)
    event = {"code": code, "name": "Brook", "keywords": ["brook"]}
    made = beside(lambda: caller.send("POST", "/api/v1/events", event))
    assert made.status in (201, 409), made  # of another look
    beside(lambda: caller.post("/api/v1/mutes", {"event": code, "kind": "refused", "why": "y" * 200}, 201))
    for name in names:
        with site.visit(name, look=look) as page:
            for path in ("/", "/notices", "/people", f"/events/{code}", f"/events/{code}/manage"):
                page.goto(path)
                check(page)


def test_a_page_says_only_what_starling_has_said_to_this_session(site: Site) -> None:
    with site.visit() as page, site.visit("vera", "viewer") as other:
        page.get_by_role("button", name="Refresh").click()
        expect(page.locator(".said")).to_have_text("Every event was told again.")
        told = page.url
        other.goto(told)
        expect(other.locator("tbody tr").first).to_be_visible()
        expect(other.locator(".said")).to_have_count(0)
        page.goto(told.replace("again", "again.+Call+0190"))
        expect(page.locator(".said")).to_have_count(0)
        page.goto("/?said=Your+account+is+locked")
        expect(page.locator(".said")).to_have_count(0)
