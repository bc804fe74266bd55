"""A browser, and a Starling with somebody signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from app.local.stack import Stack
from tests.browser.site import PATIENCE_MS, Site, beside
from tests.support.api import SECRET
from tests.support.chromium import chromium
from tests.support.debian import Missing
from tests.support.place import place
from tests.support.workers import worker


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """No longer than a module: beside it no other loop can run in this thread."""
    try:
        program, environment = chromium()
    except Missing as missing:
        pytest.fail(str(missing), pytrace=False)
    expect.set_options(timeout=PATIENCE_MS)  # five seconds else: of a loaded machine they say nothing
    with sync_playwright() as playwright:
        yield _launched(playwright, str(program), environment)


def _launched(playwright: Playwright, program: str, environment: dict[str, str]) -> Browser:
    # A container has neither the rights that Chromium's sandbox needs, nor much shared memory.
    safe = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    return playwright.chromium.launch(executable_path=program, args=safe, env=environment or None)


@pytest.fixture(scope="module")
def site(stack: Stack, browser: Browser) -> Iterator[Site]:
    held = ExitStack()
    try:
        settings = beside(lambda: held.enter_context(place(stack, token_secret=SECRET)))
        running = held.enter_context(worker(settings, "all")).wait_ready(120)
        yield Site(running, browser)
    finally:
        beside(held.close)
