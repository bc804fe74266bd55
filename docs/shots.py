"""Takes the pictures in docs/images, of generated posts only: `make shots`.

Runs the demo, which on a terminal keeps its pages, and looks at these with Chromium.
"""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from docs.palette import reduced
from tests.support.chromium import chromium
from tests.support.terminal import CTRL_C, terminal

IMAGES = Path(__file__).parent / "images"
EVENT = "2026-river-flood"
SIZE = {"width": 1100, "height": 800}
PATIENCE_MS = 60_000


def main() -> None:
    """Take all of them."""
    IMAGES.mkdir(exist_ok=True)
    with terminal("demo", "--posts", "20000") as demo:
        shown = demo.until("Ctrl-C ends the demo")
        link = re.search(r"signs in once\): (\S+)", shown)
        assert link is not None, shown  # noqa: S101
        _take(link[1])
        demo.type(CTRL_C)
        demo.wait()


def _take(link: str) -> None:
    program, environment = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], env=environment or None)
        page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE_MS)
        page.goto(link)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")
        host = link.partition("/welcome")[0]
        page.goto(f"{host}/events/{EVENT}?span=hour")
        expect(page.locator("#stream-state")).to_have_text("Live.")
        _shot(page, "event")
        page.goto(f"{host}/system")
        _shot(page, "system")
        page.set_viewport_size({"width": 740, "height": 1700})
        page.goto(f"{host}/new")
        page.get_by_label("Name", exact=True).fill("The river rises")
        page.get_by_label("Keywords, one a line").fill('flood\n"high water mark"\nhochwasser\nthe')
        page.get_by_role("button", name="Try").click()
        expect(page.locator("#preview-found")).to_be_visible(timeout=PATIENCE_MS)
        _shot(page, "editor")
        browser.close()


def _shot(page: Page, name: str) -> None:
    (IMAGES / f"{name}.png").write_bytes(reduced(page.screenshot(animations="disabled")))


if __name__ == "__main__":
    main()
