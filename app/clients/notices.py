"""How a message reaches people: a webhook and e-mail.

Each way tries once. What went wrong is `Undelivered`, in words that give away no secret of an address.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime, parseaddr
from typing import Protocol
from urllib.parse import urlsplit

import aiosmtplib
import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from app.domain.digests import Letter, one_line
from app.domain.notices import Notice
from app.settings import Settings

WEBHOOK, MAIL = "webhook", "mail"
SECONDS = 20.0  # for one try, all in all
_WORDS = 200  # characters of what a server said
# The server is there and will not take this message, however often it is asked.
_REFUSED_HTTP = frozenset({400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 501})
_LONGEST_WAIT = 900.0


class Undelivered(Exception):
    """A message was not taken; `refused`: nor will it be, unless a person changes something."""

    def __init__(self, words: str, *, refused: bool = False, retry_after: float | None = None) -> None:
        super().__init__(one_line(words)[: _WORDS + 100])
        self.refused = refused
        self.retry_after = retry_after


class Way(Protocol):
    """A way to a receiver."""

    name: str
    place: str  # its host, for people

    async def send(self, letter: Letter) -> str:
        """Return once the receiver has it; a blank, or what is to be said of it. Raises Undelivered."""


def ways(settings: Settings) -> Iterator[Way]:
    """The ways that the settings name."""
    if settings.notify_webhook is not None:
        yield Webhook(settings)
    if settings.notify_smtp_host:
        yield Mail(settings)


class Webhook:
    """Posts JSON. With a secret, the time and the body are signed: docs/notifications.md shows how to check it."""

    name = WEBHOOK

    def __init__(self, settings: Settings) -> None:
        assert settings.notify_webhook is not None  # noqa: S101 -- `ways` has looked
        self._url = settings.notify_webhook.get_secret_value()
        self._secret = settings.notify_webhook_secret
        self._tls = _tls(settings)
        self.place = urlsplit(self._url).hostname or ""

    async def send(self, letter: Letter) -> str:
        """Post a letter. A redirect is not followed: posts about events go to nobody that was not named."""
        body = payload(letter)
        headers = self._headers(letter, body)
        try:
            async with (
                asyncio.timeout(SECONDS),
                ClientSession(timeout=ClientTimeout(total=SECONDS), connector=TCPConnector(ssl=self._tls)) as session,
                session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                if answer.status // 100 == 2:
                    return ""
                raise Undelivered(
                    f"it answers {answer.status} {answer.reason or ''}".rstrip(),
                    refused=answer.status in _REFUSED_HTTP or answer.status // 100 == 3,
                    retry_after=_seconds(answer.headers.get("Retry-After")),
                )
        except TimeoutError:
            raise Undelivered(f"no answer within {SECONDS:g} s") from None
        except (ClientError, OSError, ValueError) as error:
            raise Undelivered(f"it is not reachable ({_said(error, self._url)})") from None

    def _headers(self, letter: Letter, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "starling",
            "Starling-Id": letter.id,
            "Starling-Timestamp": now,
        }
        if self._secret is not None:
            headers["Starling-Signature"] = signature(self._secret.get_secret_value(), now, body)
        return headers


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What a receiver computes too, to know who has sent this and when."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def payload(letter: Letter) -> bytes:
    """The body that is posted. `text` is what chat servers show of it."""
    return msgspec.json.encode(
        {
            "id": letter.id,
            "at": _iso(letter.at),
            "text": f"{letter.subject}\n{letter.text}",
            "notices": [_plain(notice) for notice in letter.listed],
            "more": letter.more,
        }
    )


def _plain(notice: Notice) -> dict[str, object]:
    return {
        "id": notice.id,
        "kind": notice.kind,
        "phase": notice.phase,
        "at": _iso(notice.at),
        "since": _iso(notice.since),
        "title": notice.title,
        "text": notice.text,
        "source": notice.source,
        "events": notice.events,
    }


class Mail:
    """Sends plain text by SMTP."""

    name = MAIL

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls = _tls(settings)
        self.place = settings.notify_smtp_host

    async def send(self, letter: Letter) -> str:
        """Hand a letter to the server. Its Message-ID is the message's own, so that doubles fall together."""
        chosen = self._settings
        password = chosen.notify_smtp_password
        client = aiosmtplib.SMTP(
            hostname=chosen.notify_smtp_host,
            port=chosen.notify_smtp_port,
            username=chosen.notify_smtp_username,
            password=password.get_secret_value() if password is not None else None,
            use_tls=chosen.notify_smtp_security == "tls",
            start_tls=chosen.notify_smtp_security == "starttls",
            tls_context=self._tls,
            timeout=SECONDS,
        )
        try:
            async with asyncio.timeout(SECONDS):
                await client.connect()
                refused, _ = await client.send_message(mail(letter, chosen))
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit(timeout=2)  # it has the letter: whatever it says now changes nothing
        except aiosmtplib.SMTPRecipientsRefused as error:
            said = {one.recipient: (one.code, one.message) for one in error.recipients}
            raise Undelivered(_not_for(said), refused=all(code >= 500 for code, _ in said.values())) from None
        except aiosmtplib.SMTPResponseException as error:
            raise Undelivered(f"it answers {error.code} {error.message}", refused=error.code >= 500) from None
        except TimeoutError:
            raise Undelivered(f"no answer within {SECONDS:g} s") from None
        except aiosmtplib.SMTPNotSupported as error:
            raise Undelivered(error.message, refused=True) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Undelivered(f"it is not reachable ({_said(error)})") from None
        finally:
            client.close()
        # The others have it, and would have it twice if it were sent again.
        return _not_for({address: (one.code, one.message) for address, one in refused.items()}) if refused else ""


def mail(letter: Letter, settings: Settings) -> EmailMessage:
    """The letter as an e-mail. Nothing that people or posts say can end a header: the subject is one line."""
    made = EmailMessage(policy=WIRE)
    made["From"] = settings.notify_mail_from
    made["To"] = ", ".join(settings.mail_receivers)
    made["Subject"] = letter.subject
    made["Date"] = format_datetime(datetime.fromtimestamp(letter.at / 1000, UTC))
    made["Message-ID"] = f"<{letter.id}@{parseaddr(settings.notify_mail_from)[1].rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # no answer by a machine, as of who is away
    made.set_content(letter.text + "\n")
    return made


def _not_for(refused: Mapping[str, tuple[int, str]]) -> str:
    return "not taken for " + ", ".join(f"{address} ({code} {said})" for address, (code, said) in refused.items())


def _said(error: BaseException, url: str = "") -> str:
    """The error's words, or its name; without the address, of which a part may be secret."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return type(error).__name__ if not text or (url and urlsplit(url).path.strip("/") in text) else text


def _tls(settings: Settings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.notify_ca_file)


def _seconds(header: str | None) -> float | None:
    return min(float(header), _LONGEST_WAIT) if header is not None and header.isdecimal() else None


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
