"""Those who are told: a mail server with TLS and accounts, and an HTTP server, both on threads of the test."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from app.local.server import free_ports

USER, PASSWORD = "starling", "a-password-of-the-tests"


class Certificates:
    """An authority, and a certificate of it for this machine."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.ca_file = directory / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self.context)


class Mailbox:
    """What a mail server was given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse: list[str] = []  # answers to the next mails, as "451 later"
        self.unknown: set[str] = set()  # addresses that it has not
        self.port = 0
        self.users: list[str | None] = []

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.unknown:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse:
            return self.refuse.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.users.append(session.auth_data.login.decode() if session.auth_data else None)
        self.mails.append(mail)
        return "250 taken"

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False, auth_data=data)


@contextmanager
def mail_server(certificates: Certificates, security: str = "starttls") -> Iterator[Mailbox]:
    """A mail server that wants a password, and TLS."""
    mailbox = Mailbox()
    (mailbox.port,) = free_ports(1)
    starttls = security == "starttls"
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=mailbox.port,
        ssl_context=certificates.context if security == "tls" else None,
        tls_context=certificates.context if starttls else None,
        require_starttls=starttls,
        authenticator=mailbox.authenticate,
        auth_required=True,
        auth_require_tls=starttls,
        server_hostname="localhost",  # else it looks its name up
        ready_timeout=60,
    )
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


class Hook:
    """What an HTTP server was posted."""

    def __init__(self) -> None:
        self.asked = 0
        self.requests: list[tuple[dict[str, str], bytes]] = []  # those that were taken
        self.answers: list[tuple[int, dict[str, str]]] = []  # to the next requests; then 204
        self.always: int | None = None  # instead of 204
        self.hang = threading.Event()  # while set, no answer is given
        self.port = 0

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The bodies."""
        return [json.loads(body) for _, body in self.requests]

    @property
    def told(self) -> list[str]:
        """Ids of the notices in them, in order."""
        return [notice["id"] for body in self.taken for notice in body["notices"]]


@contextmanager
def http_server(certificates: Certificates | None = None) -> Iterator[Hook]:
    """An HTTP server, or with certificates an HTTPS one."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.asked += 1
            while hook.hang.is_set():
                threading.Event().wait(0.05)
            status, headers = hook.answers.pop(0) if hook.answers else (hook.always or 204, {})
            if status // 100 == 2:
                hook.requests.append((dict(self.headers), body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificates is not None:
        server.socket = certificates.context.wrap_socket(server.socket, server_side=True)
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.hang.clear()
        server.shutdown()
        server.server_close()
        thread.join(10)
