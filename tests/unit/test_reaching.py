"""Why a server cannot be reached, told without the insides of libraries."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from app.sources.account import Account
from app.sources.reaching import unreachable, why
from app.sources.source import Broken, Trouble


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"), "connection refused"),
        (aiohttp.ClientOSError(104, "Connection reset by peer"), "connection reset by peer"),
        (
            OSError(
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 9, 0, 0), [Errno 101] Connect call …"
            ),
            "connection refused, network is unreachable",
        ),
        (OSError("Multiple exceptions: [Errno 111] Connect call …, [Errno 111] Connect call …"), "connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "its name cannot be looked up"),
        (TimeoutError(), "no answer in time"),
        (aiohttp.ConnectionTimeoutError("Connection timeout to host http://a.example"), "no answer in time"),
        (aiohttp.ServerDisconnectedError(), "it ended the connection without an answer"),
        (ssl.SSLError(1, "no reason"), "TLS failed: no reason"),
        (ValueError("two\nlines " + "x" * 300), "two lines " + "x" * 190),
        (ValueError(), "ValueError"),
    ],
)
def test_reasons_are_a_few_words(error: Exception, told: str) -> None:
    assert why(error) == told


def test_the_host_is_named_without_what_else_the_address_holds() -> None:
    broken = unreachable(URL("wss://me:secret@host.example:8/path?token=secret"), TimeoutError())
    assert (broken.trouble, str(broken)) == (Trouble.NETWORK, "host.example cannot be reached (no answer in time)")


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """The port of a server on this machine, with TLS or without."""
    server = TestServer(web.Application())
    await server.start_server(ssl=tls)
    assert server.port is not None
    try:
        yield server.port
    finally:
        await server.close()


def own_certificate(file: Path) -> ssl.SSLContext:
    """That of a server which nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1).not_valid_before(now)
    signed = made.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + signed.public_bytes(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


async def asked(url: str) -> str:
    """What is told of an address where nothing is had."""
    account = Account("token")
    with pytest.raises(Broken) as first:
        await account.fetch("GET", URL(url))
    with pytest.raises(Broken) as second:
        await account.open_stream("GET", URL(url), "the stream")
    await account.close()
    assert str(first.value) == str(second.value)
    return str(first.value)


async def test_what_aiohttp_raises_is_understood(tmp_path: Path, unused_tcp_port: int) -> None:
    assert await asked(f"http://127.0.0.1:{unused_tcp_port}") == "127.0.0.1 cannot be reached (connection refused)"
    assert await asked(f"http://localhost:{unused_tcp_port}") == "localhost cannot be reached (connection refused)"
    async with serving(own_certificate(tmp_path / "certificate.pem")) as port:
        told = "localhost cannot be reached (its certificate is not accepted: self-signed certificate)"
        assert await asked(f"https://localhost:{port}") == told
    async with serving(None) as port:
        assert (await asked(f"https://localhost:{port}")).startswith("localhost cannot be reached (TLS failed: ")
