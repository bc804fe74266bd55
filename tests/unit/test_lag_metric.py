"""The external metric, over TLS: what the API server is answered, and that nobody else is."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from app.settings import Settings
from app.web.lag_metric import application, selected, server_context

FRONT_PROXY = trustme.CA()
ROOT = "/apis/external.metrics.k8s.io/v1beta1"
VALUES = f"{ROOT}/namespaces/here/starling_lag_seconds"


@asynccontextmanager
async def served(
    behind: Callable[[], Mapping[str, float] | None] = lambda: {"worker": 12.5}, settings: Settings | None = None
) -> AsyncIterator[str]:
    """The metric of a namespace `here`, on loopback; its address."""
    runner = web.AppRunner(application(behind, frozenset({"front-proxy-client"}), "here"))
    await runner.setup()
    trusted = FRONT_PROXY.cert_pem.bytes().decode()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(settings or Settings(), trusted))
    await site.start()
    try:
        yield "https://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


def shown(ca: trustme.CA | None = FRONT_PROXY, name: str = "front-proxy-client") -> ssl.SSLContext:
    """A client that verifies nothing, with a certificate, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ca is not None:
        ca.issue_cert("client.example", common_name=name).configure_cert(context)
    return context


async def asked(address: str, context: ssl.SSLContext) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(address, ssl=context) as answer:
        return answer.status, await answer.json()


async def test_the_api_server_finds_what_there_is() -> None:
    async with served() as address:
        _, groups = await asked(f"{address}/apis", shown())
        assert groups["groups"][0]["preferredVersion"]["groupVersion"] == "external.metrics.k8s.io/v1beta1"
        _, resources = await asked(address + ROOT, shown())
        assert [(one["name"], one["namespaced"]) for one in resources["resources"]] == [("starling_lag_seconds", True)]


@pytest.mark.parametrize(
    ("selector", "values"),
    [
        ("?labelSelector=role%3Dworker", {"worker": "12500m"}),
        ("?labelSelector=role%3Dnormalizer", {"normalizer": "0m"}),
        ("", {"worker": "12500m"}),
    ],
)
async def test_a_role_is_so_many_seconds_behind(selector: str, values: dict[str, str]) -> None:
    async with served() as address:
        status, found = await asked(address + VALUES + selector, shown())
    assert status == 200
    assert {one["metricLabels"]["role"]: one["value"] for one in found["items"]} == values


async def test_while_kafka_does_not_say_there_is_no_figure() -> None:
    """An autoscaler that gets none adds nothing and takes nothing away; 0 would take workers away."""
    async with served(lambda: None) as address:
        assert (await asked(address + VALUES, shown()))[0] == 503


@pytest.mark.parametrize("path", [f"{ROOT}/namespaces/there/starling_lag_seconds", f"{ROOT}/namespaces/here/other"])
async def test_of_other_namespaces_and_metrics_there_is_nothing(path: str) -> None:
    async with served() as address:
        assert (await asked(address + path, shown()))[0] == 404


async def test_nobody_else_is_answered() -> None:
    async with served() as address:
        for stranger in (shown(None), shown(trustme.CA())):
            with pytest.raises(aiohttp.ClientError):
                await asked(address + VALUES, stranger)
        assert (await asked(address + VALUES, shown(name="somebody")))[0] == 403


@pytest.mark.parametrize("selector", ["app=x", "role", "role=", "role=a,app=b", "role in (a)", "!role"])
def test_a_selector_that_means_something_else_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match="role=NAME"):
        selected(selector)


def test_a_certificate_of_the_clusters_own_is_used_and_a_broken_one_told(tmp_path: Path) -> None:
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued = FRONT_PROXY.issue_cert("manager.starling.svc")
    cert.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    own = Settings(lag_metric_cert=cert, lag_metric_key=key)
    server_context(own, FRONT_PROXY.cert_pem.bytes().decode())
    key.write_text("nonsense")
    with pytest.raises(ValueError, match="certificate of the lag metric, or its key, is unusable"):
        server_context(own, FRONT_PROXY.cert_pem.bytes().decode())
    with pytest.raises(ValueError, match="belong together"):
        Settings(lag_metric_cert=cert)
