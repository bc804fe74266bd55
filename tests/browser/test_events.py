"""What people do with events, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import LOOKS, Look, Site, check

NAMES = ["سيل الخريف", "洪水 2026", '<script>alert(1)</script> & "quotes"']


def create(page: Page, name: str, code: str, *keywords: str) -> None:
    page.goto("/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Code").fill(code)
    page.get_by_role("textbox", name="Keywords").fill("\n".join(keywords))
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("status")).to_have_text("The event is created.")


def test_a_wrong_token_does_not_sign_in(site: Site) -> None:
    with site.visitor() as page:
        page.goto("/")
        expect(page).to_have_url(f"http://127.0.0.1:{site.worker.port}/sign-in?next=%2F")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("no token")
        check(page)
        page.goto("/people")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_an_event_is_created_edited_and_its_change_is_seen(site: Site) -> None:
    with site.visit() as page:
        create(page, "River Flood", "", "flood", "dike breach")
        expect(page.get_by_role("heading", level=1)).to_have_text("River Flood")
        page.get_by_role("link", name="Edit").click()
        field = page.get_by_role("textbox", name="Keywords")
        field.fill("flood\n#flood\nsand")
        expect(page.get_by_role("list", name="Advice")).to_contain_text("#flood: finds nothing more than 'flood' does")
        field.fill("flood\nsand")
        expect(page.get_by_role("list", name="Advice").get_by_role("listitem")).to_have_count(0)
        page.get_by_label("Why").fill("the dike holds")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("link", name="History").click()
        change = page.get_by_role("row").nth(1)
        expect(change).to_contain_text("the dike holds")
        expect(change.locator("del")).to_have_text("removed dike breach")
        expect(change.locator("ins")).to_have_text("added sand")
        at = page.get_by_role("row").nth(2).locator("time").get_attribute("datetime") or ""
        page.get_by_label("At (UTC)").fill(at[:16])
        page.get_by_role("button", name="Show").click()
        expect(page.locator("main")).to_contain_text("did not exist then")


def test_two_people_edit_and_the_second_sees_both_versions(site: Site) -> None:
    with site.visit() as page, site.visit("bob", "editor") as other:
        create(page, "Storm", "storm", "wind")
        page.goto("/events/storm/edit")
        other.goto("/events/storm/edit")
        other.get_by_role("textbox", name="Keywords").fill("wind\ngale")
        other.get_by_role("button", name="Save").click()
        expect(other.get_by_role("status")).to_contain_text("version 2")
        page.get_by_role("textbox", name="Keywords").fill("wind\nhail")
        page.get_by_role("button", name="Save").click()
        conflict = page.get_by_role("alert")
        expect(conflict).to_contain_text("version 2 is by bob")
        expect(conflict).to_contain_text("added gale")
        expect(page.get_by_role("textbox", name="Keywords")).to_have_value("wind\nhail")
        check(page)
        page.get_by_role("button", name="Save over theirs").click()
        expect(page.get_by_role("status")).to_contain_text("version 3")


def test_an_event_is_paused_resumed_stopped_and_deleted_by_typing_its_code(site: Site) -> None:
    with site.visit() as page:
        create(page, "Snow", "snow", "snow")
        for button, status in (
            ("Pause collection", "paused"),
            ("Resume collection", "active"),
            ("Stop collection", "stopped"),
        ):
            page.get_by_role("button", name=button).click()
            expect(page.locator(".facts .status")).to_have_text(status)
        page.get_by_role("link", name="Manage").click()
        page.locator("form[action$='/delete']").get_by_role("textbox").fill("sno")
        page.get_by_role("button", name="Delete the event").click()
        expect(page.get_by_role("alert")).to_contain_text("type the code snow")
        page.locator("form[action$='/delete']").get_by_role("textbox").fill("snow")
        page.get_by_role("button", name="Delete the event").click()
        expect(page.get_by_role("status")).to_contain_text("Snow is deleted")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_shown_as_it_is(site: Site, name: str) -> None:
    code = f"name-{NAMES.index(name)}"
    with site.visit() as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script of a name ran: {dialog.message}"))
        create(page, name, code, "flood")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        page.goto(f"/?text={code}")
        expect(page.get_by_role("row").nth(1)).to_contain_text(name)


def test_a_file_is_looked_at_and_imported(site: Site) -> None:
    with site.visit() as page:
        page.goto("/import")
        page.get_by_label("YAML").fill("events:\n- {code: rain, name: Rain, keywords: [rain]}\n")
        page.get_by_role("button", name="Only look").click()
        expect(page.get_by_role("row").nth(1)).to_contain_text("create")
        page.get_by_role("button", name="Import").click()
        expect(page.get_by_role("status")).to_have_text("It is done.")
        page.goto("/events/rain")
        expect(page.locator(".facts .status")).to_have_text("draft")


def test_a_viewer_is_shown_nothing_that_they_may_not_do(site: Site) -> None:
    with site.visit() as page:
        create(page, "Fog", "fog", "fog")
    with site.visit("vera", "viewer") as page:
        page.goto("/events/fog")
        for name in ("Edit", "Manage", "People", "Audit log"):
            expect(page.get_by_role("link", name=name)).to_have_count(0)
        expect(page.get_by_role("button", name="Pause collection")).to_have_count(0)
        assert page.goto("/events/fog/edit").status == 403  # type: ignore[union-attr]
        expect(page.get_by_role("alert")).to_contain_text("may not do this")


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.width}-{look.scheme}")
def test_every_page_is_accessible_and_fits(site: Site, look: Look) -> None:
    caller = site.api()
    new = {"name": NAMES[2], "code": "looks", "keywords": ["flood", "x" * 150], "accounts": ["usgs"], "why": "w" * 300}
    caller.send("POST", "/api/v1/events", new)
    caller.send("PATCH", "/api/v1/events/looks", {"keywords": ["flood", "سيل"]})
    pages = ("", "?text=none", "new", "import", "notices", "people", "audit", "nothing")
    parts = ("", "/edit", "/history", "/history?moment=2100-01-01T00:00", "/manage", "/exports")
    with site.visit(look=look) as page:
        for path in [f"/{path}" for path in pages] + [f"/events/looks{part}" for part in parts]:
            page.goto(path)
            check(page)


def test_the_first_page_is_small(site: Site) -> None:
    with site.visit() as page:
        sizes: list[int] = []
        page.on("response", lambda response: sizes.append(len(response.body())))
        page.goto("/", wait_until="networkidle")
        assert sum(sizes) < 200_000
