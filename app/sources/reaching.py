"""Why a server cannot be reached or a connection broke, in words for a person: libraries show their own insides."""

from __future__ import annotations

import os
import re
import socket
import ssl

import aiohttp
from yarl import URL

from app.sources.source import Broken, Trouble

_NUMBER = re.compile(r"\[Errno (\d+)\]")


def unreachable(url: URL, error: BaseException) -> Broken:
    """No connection to a server came about."""
    return Broken(Trouble.NETWORK, f"{host_of(url)} cannot be reached ({why(error)})")


def host_of(url: URL) -> str:
    """The host, as errors name it: an address may hold a password."""
    return url.host or str(url.with_user(None).with_query(None))


def why(error: BaseException) -> str:
    """The reason behind an error of aiohttp or of the system, in a few words."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ssl.SSLError):
        return _of_tls(cause)
    if isinstance(cause, socket.gaierror):
        return "its name cannot be looked up" if cause.errno == socket.EAI_AGAIN else "no such host"
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return "it ended the connection without an answer"
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and (numbers := _numbers(cause)):
        return ", ".join(dict.fromkeys(os.strerror(number).lower() for number in numbers))
    return one_line(str(error)) or type(error).__name__


def one_line(text: str, most: int = 200) -> str:
    """The text without line breaks, and not too long for a message."""
    return " ".join(text.split())[:most]


def _of_tls(error: ssl.SSLError) -> str:
    # Attributes that only errors from inside OpenSSL have.
    if told := getattr(error, "verify_message", ""):
        return f"its certificate is not accepted: {told}"
    return one_line(f"TLS failed: {(getattr(error, 'reason', '') or str(error)).replace('_', ' ').lower()}")


def _numbers(error: OSError) -> list[int]:
    """Of a host that was tried at several addresses, asyncio tells all errors in one text."""
    return [error.errno] if error.errno else [int(number) for number in _NUMBER.findall(str(error))]
