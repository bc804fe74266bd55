"""Whom JupyterLab lets in: whom Starling's own server knows as an administrator, by the sign-in of its pages.

A token of Starling's opens it, in the link, in the header Authorization or in the form; so does the session that the
browser has with the pages, where both are of one host (cookies know no ports). Neither is read here: the server is
asked, again every few seconds, so that a revoke and a sign-out count here too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable
from html import escape
from time import monotonic
from typing import Any, cast

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.auth.login import LoginFormHandler
from msgspec import Struct
from tornado.escape import url_escape
from tornado.httpclient import AsyncHTTPClient
from tornado.web import RequestHandler
from traitlets import Unicode, default

from app.errors import UserError
from app.settings import settings
from cli.contexts import check_token

LINK = "STARLING_NOTEBOOK_LINK"  # in the environment: the token of the link that is shown
_COOKIES = ("__Host-starling", "starling")  # by which the pages know a session
_ASKED_SECONDS = 2.0
_AWAY_SECONDS = 600.0  # that whoever was let in may go on while the server does not answer: it may be started anew
_PATIENCE_SECONDS = 10.0
_MOST_KNOWN = 1000
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<body style="font-family: sans-serif; max-width: 40em; margin: 4em auto">
<h1>Notebooks</h1><p>{wrong}</p>
<p>Who is signed in to <a href="{pages}">Starling's pages</a> as an administrator, by the same host name, loads this
page again. Else a token does it: <code>starling user token NAME</code>.</p>
<form method="post" action="{base}login?next={then}">{xsrf}
<label>Token <input type="password" name="password" autofocus></label> <button>Sign in</button></form>"""


class Said(Struct, frozen=True):
    """What the server says of a token or session: who it is, or why they are not let in."""

    user: User | None = None
    why: str = ""
    at: float = 0.0


class Form(LoginFormHandler):
    """Asks for a token."""

    def _render(self, message: dict[str, str] | None = None) -> None:
        then = url_escape(self.get_argument("next", default=self.base_url))
        wrong = escape((message or {}).get("error", ""))
        pages, base, xsrf = escape(settings().web_address), escape(self.base_url), self.xsrf_form_html()
        self.write(_FORM.format(wrong=wrong, pages=pages, base=base, then=then, xsrf=xsrf))

    @allow_unauthenticated
    async def post(self) -> None:
        """Let in whoever has such a token."""
        login = cast(Login, self.identity_provider)
        token = self.get_argument("password", default="").strip()
        said = await login.by_token(token)
        if said.user is None:
            self.set_status(401)
            self._render({"error": f"This token does not sign in: {said.why}."})
            return
        login.keep(self, token)
        self._redirect_safe(self.get_argument("next", default=self.base_url))  # type: ignore[no-untyped-call]


class Login(IdentityProvider):
    """Asks Starling's server of each request."""

    server = Unicode(config=True, help="address of Starling's server")

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._known: dict[tuple[str, str], Said] = {}

    @default("server")
    def _server_default(self) -> str:
        return settings().web_address

    @default("token")
    def _token_default(self) -> str:
        """What Jupyter shows in its link; kernels do not inherit it."""
        token = os.environ.pop(LINK, "")
        self.token_generated = bool(token)
        return token

    @default("login_handler_class")
    def _login_handler_default(self) -> type[RequestHandler]:
        return Form

    def get_user(self, handler: RequestHandler) -> Awaitable[User | None]:
        """Who sends a request; None where nobody says so, or they are not let in."""
        return self._user_of(handler)

    async def _user_of(self, handler: Any) -> User | None:
        if (known := getattr(handler, "_jupyter_current_user", None)) is not None:
            return cast(User, known)
        if token := self.get_token(handler):
            said = await self.by_token(token)
            if said.user is not None:
                handler._token_authenticated = True
                self.keep(handler, token)
                return said.user
        if held := handler.get_secure_cookie(self.get_cookie_name(handler)):
            said = await self._asked("Authorization", f"Bearer {held.decode()}")
            if said.user is not None:
                return said.user
        for name in _COOKIES:
            if session := handler.get_cookie(name):
                return (await self._asked("Cookie", f"{name}={session}")).user
        return None

    async def by_token(self, token: str) -> Said:
        """Whose token it is."""
        try:
            return await self._asked("Authorization", f"Bearer {check_token(token)}")
        except UserError as wrong:
            return Said(why=str(wrong))

    def keep(self, handler: Any, token: str) -> None:
        """Have the browser show the token from now on."""
        secure = handler.request.protocol == "https"
        handler.set_secure_cookie(
            self.get_cookie_name(handler), token, httponly=True, samesite="Lax", secure=secure, path=handler.base_url
        )

    async def _asked(self, header: str, value: str) -> Said:
        now = monotonic()
        before = self._known.get((header, value))
        if before is not None and now - before.at < _ASKED_SECONDS:
            return before
        answer = await AsyncHTTPClient().fetch(
            f"{self.server}/api/v1/whoami",
            headers={header: value},
            request_timeout=_PATIENCE_SECONDS,
            follow_redirects=False,
            raise_error=False,
        )
        if answer.code >= 500 and before is not None and before.user and now - before.at < _AWAY_SECONDS:
            return before
        said = _said(answer.code, answer.body or b"", self.server, now)
        self._known.pop((header, value), None)
        self._known[header, value] = said
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return said


def _said(status: int, body: bytes, server: str, now: float) -> Said:
    if status != 200:
        away = status >= 500
        return Said(why=f"{server} does not answer" if away else f"{server} does not know it", at=now)
    told = json.loads(body)
    why = refusal(told["name"], told["rank"], told["by"])
    return Said(None if why else User(told["name"]), why, now)


def refusal(name: str, rank: str, by: str) -> str:
    """Why somebody whom the server knows so is not let in."""
    if by == "open":
        return "the server asks nobody who they are"
    return "" if rank == "admin" else f"{name} is no administrator, and a notebook may do everything"
