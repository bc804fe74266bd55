"""Exports, in a browser: asked for, followed without a reload, fetched and taken back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.domain.exports import manifest_name
from tests.browser.site import FLOWS, LOOKS, Look, Site, beside, check
from tests.support import events

NAME = "سيل 洪水 <script>alert(1)</script>"
WRITTEN_MS = 120_000  # a process of its own is started for it


@pytest.fixture(scope="module")
def code(site: Site) -> str:
    """An event that collects."""
    beside(lambda: events.accepted(site.worker.settings, events.create("exported", name=NAME, keywords=("sea", "سيل"))))
    return "exported"


def ask(page: Page, kind: str) -> None:
    page.get_by_label("Format").select_option(kind)
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_text("The export has been asked for.")).to_be_visible()


@pytest.mark.parametrize("look", FLOWS, ids=str)
def test_an_export_is_followed_fetched_and_removed(site: Site, code: str, look: Look) -> None:
    with site.visit("vera", "viewer", look) as page:
        page.goto(f"/events/{code}/exports")
        expect(page.get_by_text(NAME).first).to_be_visible()
        ask(page, "csv")
        row = page.locator("[data-export]").first
        expect(row).to_have_attribute("data-state", "done", timeout=WRITTEN_MS)
        found = {}
        for name in ("File of", "Manifest of"):
            with page.expect_download() as fetched:
                row.get_by_role("link", name=name).click()
            found[name] = fetched.value
        file, manifest = found.values()
        assert manifest.suggested_filename == manifest_name(file.suggested_filename)
        said = json.loads(Path(manifest.path()).read_text())
        assert said["file"]["sha256"] == hashlib.sha256(Path(file.path()).read_bytes()).hexdigest()
        assert said["event"]["name"] == NAME
        row.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("The export is taken back.")).to_be_visible()
        expect(row).to_have_attribute("data-state", "removed")
        expect(row.get_by_role("link")).to_have_count(0)


def test_only_the_options_of_the_format_are_shown(site: Site, code: str) -> None:
    with site.visit() as page:
        page.goto(f"/events/{code}/exports")
        network, excel = page.get_by_label("Network (GEXF)"), page.get_by_label("For Excel")
        expect(excel).to_be_visible()
        expect(network).to_be_hidden()
        page.get_by_label("Format").select_option("gexf")
        expect(network).to_be_visible()
        expect(excel).to_be_hidden()


def test_what_was_typed_stays_where_it_cannot_be(site: Site, code: str) -> None:
    with site.visit() as page:
        page.goto(f"/events/{code}/exports")
        page.get_by_label("From (UTC)").fill("2026-05-02T00:00")
        page.get_by_label("To (UTC)").fill("2026-05-01T00:00")
        page.get_by_role("button", name="Export").click()
        expect(page.get_by_role("alert")).to_have_text("the export ends before it begins")
        expect(page.get_by_label("From (UTC)")).to_have_value("2026-05-02T00:00")


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_page_is_usable_on_every_screen(site: Site, code: str, look: Look) -> None:
    with site.visit(look=look) as page:
        page.goto(f"/events/{code}/exports")
        page.get_by_text("Only some posts").click()
        ask(page, "ids")
        expect(page.locator("[data-export]").first).to_have_attribute("data-state", "done", timeout=WRITTEN_MS)
        check(page)
