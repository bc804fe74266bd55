"""What administrators do with people, and the page of the API."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.site import Site, check


def test_a_person_is_added_signs_in_by_a_token_and_is_removed(site: Site) -> None:
    with site.visit() as page:
        page.goto("/people")
        page.get_by_label("Name").fill("emil")
        page.get_by_label("Role").select_option("editor")
        page.get_by_role("button", name="Add").click()
        expect(page.locator(".said")).to_have_text("emil is added: editor.")
        page.get_by_role("button", name="Make a token for emil").click()
        token = page.get_by_label("Token", exact=True).inner_text()
        with site.visitor() as emil:
            emil.goto("/sign-in?next=/new")
            emil.get_by_label("Token").fill(token)
            emil.get_by_role("button", name="Sign in").click()
            expect(emil.get_by_role("heading", level=1)).to_have_text("New event")
            page.get_by_role("button", name="End all tokens and sessions of emil").click()
            expect(page.locator(".said")).to_contain_text("sign in anew")
            emil.reload()
            expect(emil.get_by_role("heading", level=1)).to_have_text("Sign in")
        page.get_by_role("button", name="Remove emil").click()
        expect(page.locator(".said")).to_have_text("emil is removed.")
        page.goto("/audit?action=people.&target=emil")
        expect(page.get_by_role("row").nth(1)).to_contain_text("people.remove")
        assert token not in page.get_by_role("region", name="Entries").inner_text()
        check(page)


def test_notices_are_muted_and_no_longer(site: Site) -> None:
    with site.visit() as page:
        page.goto("/notices")
        page.get_by_label("Kind").select_option("gap")
        page.get_by_role("button", name="Mute").click()
        expect(page.locator("main")).to_contain_text("gap of any event")
        page.get_by_role("button", name="End the mute of gap of any event").click()
        expect(page.locator(".said")).to_have_text("It is no longer muted.")


def test_the_api_is_tried_on_its_page(site: Site) -> None:
    with site.visit() as page:
        page.goto("/api/v1/docs")
        operation = page.locator(".opblock").filter(has_text="/api/v1/whoami")
        operation.get_by_role("button").first.click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table")).to_contain_text('"name": "ada"')
