"""All routes, and the web server that answers them: the one place that knows every part of the pages and the API."""

from __future__ import annotations

from functools import partial

from app.faustapp import App
from app.web.api import (
    about,
    advising,
    asking,
    auditing,
    changes,
    events,
    exports,
    files,
    history,
    live,
    notices,
    people,
    posts,
    signing,
    system,
    trending,
)
from app.web.desk import Desk
from app.web.openapi import describe
from app.web.pages import asking as asking_pages
from app.web.pages import event as event_pages
from app.web.pages import exports as exports_pages
from app.web.pages import home, trying, writing
from app.web.pages import live as live_pages
from app.web.pages import notices as notices_pages
from app.web.pages import people as people_pages
from app.web.pages import posts as posts_pages
from app.web.pages import signing as signing_pages
from app.web.pages import system as system_pages
from app.web.rendering import STATIC, Rendering
from app.web.routes import Route
from app.web.serving import Serving

PARTS = (
    *(about, signing, events, changes, history, live, trending, system, files, advising, asking, exports, posts),
    *(notices, people, auditing),
    *(home, writing, event_pages, live_pages, posts_pages, exports_pages, system_pages, notices_pages, people_pages),
    *(asking_pages, trying, signing_pages),
)


def routes() -> list[Route]:
    """Every route, in the order of the description."""
    return [route for part in PARTS for route in part.ROUTES]


def add_pages(app: App, desk: Desk) -> None:
    """Have the app's web server answer."""
    serving = Serving(desk, Rendering())
    every = routes()
    application = app.web.web_app
    desk.description = partial(describe, every)
    serving.add(application, every)
    application.router.add_static("/static", STATIC)
