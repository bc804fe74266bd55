"""The ways to receivers, against a real mail server with TLS and a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.clients import notices
from app.clients.notices import Mail, Undelivered, Webhook, ways
from app.domain.digests import Letter, compose
from app.domain.notices import Notice
from app.settings import Settings
from tests.support.receivers import PASSWORD, USER, Certificates, http_server, mail_server

T0 = 1_800_000_000_000
SECRET = "a-secret-of-the-tests"  # noqa: S105 -- of this test


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def made(title: str = "Flood (flood) collects", name: str = "m1") -> Letter:
    notice = Notice(
        id="started:flood:1", kind="started", at=T0, since=T0, title=title, text="by ana", events=("flood",)
    )
    return compose(name, T0, [notice])


def hook(port: int, **more: Any) -> Webhook:
    return Webhook(Settings(notify_webhook=f"http://127.0.0.1:{port}/in/secret-part?key=k", **more))


def mailer(port: int, certificates: Certificates, security: str = "starttls", **more: Any) -> Mail:
    given = {
        "notify_smtp_host": "127.0.0.1",
        "notify_smtp_port": port,
        "notify_smtp_security": security,
        "notify_smtp_username": USER,
        "notify_smtp_password": PASSWORD,
        "notify_mail_from": "Starling <starling@example.org>",
        "notify_mail_to": "ana@example.org, bob@example.org",
        "notify_ca_file": certificates.ca_file,
    }
    return Mail(Settings(**given | more))


async def test_a_webhook_gets_what_happened_signed() -> None:
    with http_server() as server:
        assert await hook(server.port, notify_webhook_secret=SECRET).send(made()) == ""
        ((headers, body),) = server.requests
    expected = hmac.new(SECRET.encode(), headers["Starling-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["Starling-Signature"] == f"sha256={expected.hexdigest()}"
    assert headers["Starling-Id"] == "m1"
    assert json.loads(body) == {
        "id": "m1",
        "at": "2027-01-15T08:00:00.000Z",
        "text": "[Starling] Flood (flood) collects\n2027-01-15 08:00:00 UTC  Flood (flood) collects\n    by ana",
        "notices": [
            {
                "id": "started:flood:1",
                "kind": "started",
                "phase": "once",
                "at": "2027-01-15T08:00:00.000Z",
                "since": "2027-01-15T08:00:00.000Z",
                "title": "Flood (flood) collects",
                "text": "by ana",
                "source": "",
                "events": ["flood"],
            }
        ],
        "more": 0,
    }


async def test_without_a_secret_nothing_is_signed() -> None:
    with http_server() as server:
        await hook(server.port).send(made())
        ((headers, _),) = server.requests
    assert "Starling-Signature" not in headers


@pytest.mark.parametrize(
    ("status", "refused"),
    [(500, False), (503, False), (429, False), (408, False), (401, True), (404, True), (413, True)],
)
async def test_what_a_webhook_answers_is_told(status: int, refused: bool) -> None:
    with http_server() as server:
        server.always = status
        with pytest.raises(Undelivered, match=f"it answers {status}") as raised:
            await hook(server.port).send(made())
    assert raised.value.refused is refused


async def test_a_webhook_that_asks_for_patience_is_heeded_within_reason() -> None:
    with http_server() as server:
        server.answers = [
            (503, {"Retry-After": "30"}),
            (429, {"Retry-After": "999999"}),
            (429, {"Retry-After": "soon"}),
        ]
        waits = []
        for _ in range(3):
            with pytest.raises(Undelivered) as raised:
                await hook(server.port).send(made())
            waits.append(raised.value.retry_after)
    assert waits == [30, 900, None]


async def test_a_redirect_is_not_followed() -> None:
    with http_server() as server, http_server() as other:
        server.answers = [(307, {"Location": f"http://127.0.0.1:{other.port}/"})]
        with pytest.raises(Undelivered, match="307") as raised:
            await hook(server.port).send(made())
        assert raised.value.refused
        assert other.requests == []


async def test_what_is_not_reachable_is_told_without_the_secret_part_of_its_address() -> None:
    with http_server() as server:
        port = server.port
    with pytest.raises(Undelivered, match="not reachable") as raised:
        await hook(port).send(made())
    assert not raised.value.refused
    assert "secret-part" not in str(raised.value)
    assert "key=k" not in str(raised.value)


async def test_a_webhook_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "SECONDS", 0.2)
    with http_server() as server:
        server.hang.set()
        with pytest.raises(Undelivered, match="no answer within"):
            await hook(server.port).send(made())


async def test_the_certificate_of_a_webhook_is_checked(certificates: Certificates) -> None:
    with http_server(certificates) as server:
        url = f"https://127.0.0.1:{server.port}/"
        await Webhook(Settings(notify_webhook=url, notify_ca_file=certificates.ca_file)).send(made())
        assert len(server.requests) == 1
        with pytest.raises(Undelivered, match=r"(?i)certificate"):
            await Webhook(Settings(notify_webhook=url)).send(made())


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # it does not see that all is encrypted from the start
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_arrives_encrypted_and_signed_in(certificates: Certificates, security: str) -> None:
    with mail_server(certificates, security) as server:
        assert await mailer(server.port, certificates, security).send(made()) == ""
    (mail,) = server.mails
    assert server.users == [USER]
    assert mail["Subject"] == "[Starling] Flood (flood) collects"
    assert mail["To"] == "ana@example.org, bob@example.org"
    assert mail["From"] == "Starling <starling@example.org>"
    assert mail["Message-ID"] == "<m1@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.timestamp() == T0 / 1000
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == ["2027-01-15 08:00:00 UTC  Flood (flood) collects", "    by ana"]


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("فيضان <script>alert(1)</script> 洪水", "[Starling] فيضان <script>alert(1)</script> 洪水"),
        ("a\r\nBcc: eve@example.org\r\n\r\nbody", "[Starling] a Bcc: eve@example.org body"),
        ("洪" * 400, "[Starling] " + "洪" * 150),
    ],
)
async def test_no_name_can_end_a_header(certificates: Certificates, title: str, subject: str) -> None:
    with mail_server(certificates) as server:
        await mailer(server.port, certificates).send(made(title))
    (mail,) = server.mails
    assert mail["Subject"] == subject
    assert mail["Bcc"] is None
    assert title.split("\r", maxsplit=1)[0] in mail.get_content()


async def test_a_wrong_password_is_refused_and_not_told(certificates: Certificates) -> None:
    with mail_server(certificates) as server, pytest.raises(Undelivered, match="it answers 535") as raised:
        await mailer(server.port, certificates, notify_smtp_password="wrong").send(made())  # noqa: S106 -- it is
    assert raised.value.refused
    assert "wrong" not in str(raised.value)


async def test_a_server_without_our_trust_gets_no_password(certificates: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path)
    with mail_server(other) as server, pytest.raises(Undelivered, match=r"(?i)certificate"):
        await mailer(server.port, certificates).send(made())
    assert server.mails == []


@pytest.mark.parametrize(("answer", "refused"), [("451 later", False), ("554 spam", True)])
async def test_what_a_mail_server_answers_is_told(certificates: Certificates, answer: str, refused: bool) -> None:
    with mail_server(certificates) as server:
        server.refuse = [answer]
        with pytest.raises(Undelivered, match=answer) as raised:
            await mailer(server.port, certificates).send(made())
    assert raised.value.refused is refused


async def test_one_unknown_address_keeps_nothing_from_the_others(certificates: Certificates) -> None:
    with mail_server(certificates) as server:
        server.unknown = {"bob@example.org"}
        said = await mailer(server.port, certificates).send(made())
        assert said == "not taken for bob@example.org (550 no such user)"
        assert len(server.mails) == 1
        server.unknown = {"ana@example.org", "bob@example.org"}
        with pytest.raises(Undelivered, match=r"not taken for ana@example\.org") as raised:
            await mailer(server.port, certificates).send(made())
        assert raised.value.refused


async def test_a_mail_server_that_is_away_is_told(certificates: Certificates) -> None:
    with mail_server(certificates) as server:
        port = server.port
    with pytest.raises(Undelivered, match="not reachable"):
        await mailer(port, certificates).send(made())


def test_the_settings_name_the_ways(certificates: Certificates) -> None:
    assert list(ways(Settings())) == []
    both = mailer(1, certificates)._settings.model_copy(
        update={"notify_webhook": Settings(notify_webhook="https://hooks.example.org/a").notify_webhook}
    )
    assert [(way.name, way.place) for way in ways(both)] == [("webhook", "hooks.example.org"), ("mail", "127.0.0.1")]


MAIL_SETTINGS = {"notify_smtp_host": "m.example.org", "notify_mail_from": "s@a.org", "notify_mail_to": "a@a.org"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"notify_webhook": "http://hooks.example.org/a"}, "not https"),
        ({"notify_webhook": "ftp://hooks.example.org/a"}, "write https"),
        ({"notify_webhook": "https:///a"}, "write https"),
        ({"notify_webhook": "https://[::1/a"}, "write https"),
        ({"notify_smtp_host": "m.example.org"}, "STARLING_NOTIFY_MAIL_FROM"),
        (MAIL_SETTINGS | {"notify_mail_to": "a@a.org\nBcc: b@b.org"}, "name@host"),
        (MAIL_SETTINGS | {"notify_mail_to": "nobody"}, "name@host"),
        (MAIL_SETTINGS | {"notify_mail_from": "a@a.org, b@b.org"}, "one address"),
        (MAIL_SETTINGS | {"notify_smtp_username": "u"}, "belong together"),
        (
            MAIL_SETTINGS | {"notify_smtp_username": "u", "notify_smtp_password": "p", "notify_smtp_security": "none"},
            "not sent without",
        ),
        ({"notify_mail_daily_at": "07:00+02:00"}, "UTC"),
        ({"notify_mail_daily_at": "25:00"}, "time"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings(**given)


def test_a_webhook_without_tls_is_for_this_machine_or_allowed_by_name() -> None:
    Settings(notify_webhook="http://127.0.0.1:1/a")
    Settings(notify_webhook="http://localhost/a")
    Settings(notify_webhook="http://[::1]:80/a")
    Settings(notify_webhook="http://hooks.example.org/a", notify_webhook_plain=True)
