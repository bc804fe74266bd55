"""`python -m benchmarks.pages`: how long a browser takes to a usable page, and the stream to a figure on it.

Starts servers and a worker of its own, with a thousand events, and a Chromium whose cache is empty for each page.
`STARLING_BENCH_STACK=directory` takes a stack that runs there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from random import Random
from statistics import median
from typing import NamedTuple

import click
from playwright.sync_api import Page, Request, StorageState, sync_playwright

from benchmarks.process import cpu_seconds
from benchmarks.servers import servers
from tests import builders
from tests.browser.site import Site, beside
from tests.support import events, topics
from tests.support.api import SECRET
from tests.support.chromium import chromium
from tests.support.place import place
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

EVENTS = 1000
CODE = "many-0000"
WORD = "place0000"
PAGES = {"first page, 1,000 events": "/", "event": f"/events/{CODE}", "system": "/system", "new event": "/new"}
# When each number of posts was first on the page, by the clock that Python has too.
_NOTE = """() => {
    window.seen = {};
    const look = () => {
        const posts = Number(document.querySelector(".figures b").textContent.replaceAll(",", ""));
        for (let number = posts; number > 0 && !window.seen[number]; number--) window.seen[number] = Date.now();
    };
    new MutationObserver(look).observe(document.getElementById("now"), { childList: true });
}"""
# Scripts are modules: all that a page needs has run when the content is loaded.
_TIMES = """() => {
    const page = performance.getEntriesByType("navigation")[0];
    const painted = performance.getEntriesByName("first-contentful-paint")[0];
    return [page.responseStart, painted ? painted.startTime : 0, page.domContentLoadedEventEnd];
}"""


class Loaded(NamedTuple):
    """A page, once: milliseconds by the clock since it was asked for, and of processors."""

    answered: float
    painted: float
    usable: float
    browser_cpu: float
    kilobytes: float


@click.command()
@click.option("--times", type=click.IntRange(1), default=10, show_default=True, help="Each page.")
@click.option("--posts", type=click.IntRange(1), default=60, show_default=True, help="Sent one by one.")
def main(times: int, posts: int) -> None:
    """Measure pages."""
    with ExitStack() as opened:
        stack = opened.enter_context(servers())
        settings = opened.enter_context(place(stack, token_secret=SECRET))
        running = opened.enter_context(worker(settings, "all")).wait_ready()
        events.put_events(settings, [events.active(f"many-{n:04}", f"place{n:04}") for n in range(EVENTS)])
        program, environment = chromium()
        playwright = opened.enter_context(sync_playwright())
        safe = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        site = Site(
            running, playwright.chromium.launch(executable_path=str(program), args=safe, env=environment or None)
        )
        told = site.api()
        beside(lambda: until(lambda: told.get("/api/v1/events")["all"] == EVENTS, "all events are known"))
        with site.visit() as page:
            session = page.context.storage_state()
        click.echo(
            "| page | answered ms | painted ms | usable ms (slowest) | browser's CPU ms | worker's CPU ms | kB |"
        )
        click.echo("|---|---|---|---|---|---|---|")
        for name, path in PAGES.items():
            _load(site, session, path)
            before = cpu_seconds(running.process.pid)
            found = [_load(site, session, path) for _ in range(times)]
            used = (cpu_seconds(running.process.pid) - before) / times * 1000
            middle = Loaded(*(median(column) for column in zip(*found, strict=True)))
            slowest = max(one.usable for one in found)
            click.echo(
                f"| {name} | {middle.answered:.0f} | {middle.painted:.0f} | {middle.usable:.0f} ({slowest:.0f}) | "
                f"{middle.browser_cpu:.0f} | {used:.0f} | {middle.kilobytes:.0f} |"
            )
        ages = sorted(_ages(site, posts))
        click.echo(
            f"from raw_tweets to a figure on the page, {posts} posts: middle {median(ages):.2f} s, "
            f"p95 {ages[int(0.95 * len(ages))]:.2f} s, longest {ages[-1]:.2f} s"
        )


def _load(site: Site, session: StorageState, path: str) -> Loaded:
    """A page in a browser that has nothing of it, for somebody who has signed in."""
    with site.visitor(session=session) as page:
        fetched: list[Request] = []
        page.on("requestfinished", lambda one: fetched.append(one))  # noqa: PLW0108 -- Playwright takes no builtin
        watch = page.context.new_cdp_session(page)
        watch.send("Performance.enable")
        page.goto(path, wait_until="load")
        times = page.evaluate(_TIMES)
        metrics = {one["name"]: one["value"] for one in watch.send("Performance.getMetrics")["metrics"]}
        read = sum(one.sizes()["responseBodySize"] for one in fetched)
        return Loaded(*times, metrics["TaskDuration"] * 1000, read / 1000)


def _ages(site: Site, posts: int) -> Iterator[float]:
    """Seconds from when each post was sent until the page counts it."""
    pauses = Random(1)  # so that no post keeps step with a clock of ours
    with site.visit() as page:
        page.goto(f"/events/{CODE}")
        page.wait_for_function("document.getElementById('stream-state').textContent == 'Live.'")
        page.evaluate(_NOTE)
        sent = [_sent(site, number, pauses.uniform(0.1, 1.2)) for number in range(posts)]
        seen = _seen(page, posts)
    yield from ((at - began) / 1000 for began, at in zip(sent, seen, strict=True))


def _sent(site: Site, number: int, pause: float) -> float:
    time.sleep(pause)
    now = time.time() * 1000
    post = builders.status(f"at {WORD} it rises", id=builders.snowflake(int(now), sequence=number))
    beside(lambda: topics.send(site.worker.settings, [Raw(builders.line(post), number % 4)]))
    return now


def _seen(page: Page, posts: int) -> Sequence[float]:
    page.wait_for_function("posts => window.seen[posts]", arg=posts)
    return [page.evaluate("number => window.seen[number]", number + 1) for number in range(posts)]


if __name__ == "__main__":
    main()
