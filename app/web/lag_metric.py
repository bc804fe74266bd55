"""The metric by which autoscalers add workers: how far each role is behind, as Kubernetes asks for external metrics.

The API server asks in the name of the autoscaler, and shows that it is the API server by the certificate of its front
proxy; who may read the metric is its business (RBAC), so nobody else is answered.
https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
https://github.com/kubernetes/metrics/tree/master/pkg/apis/external_metrics
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mode import Service

from app.clients.cluster import Cluster, Denied, cluster
from app.domain.cluster_objects import LAG_METRIC
from app.errors import Unavailable, UserError
from app.settings import Settings

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
AGAIN_SECONDS = 10.0
TRUSTED_SECONDS = 3600.0  # until the front proxy's CA is read anew: clusters change it
_ROOT = f"/apis/{GROUP}"
_READER = ("extension-apiserver-authentication", "kube-system")  # ConfigMap that says how the API server shows itself


class LagMetric(Service):
    """Serves it, by TLS. `behind` gives the seconds that each role is behind; None while that is not known."""

    abstract = False
    logger = logging.getLogger("mode.lag_metric")

    def __init__(self, settings: Settings, behind: Callable[[], Mapping[str, float] | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._behind = behind

    @Service.task
    async def _serve(self) -> None:
        told = ""
        while not self.should_stop:
            try:
                async with cluster(self._settings) as found:
                    trusted, names = await _front_proxy(found)
                await self._serve_to(trusted, names, found.namespace)
            except (Unavailable, Denied, UserError, OSError, ValueError) as away:
                if str(away) != told:
                    told = str(away)
                    self.logger.warning("the lag metric is not served", extra={"why": told})
                await self.sleep(AGAIN_SECONDS)

    async def _serve_to(self, trusted: str, names: frozenset[str], namespace: str) -> None:
        runner = web.AppRunner(application(self._behind, names, namespace), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            context = await asyncio.to_thread(server_context, self._settings, trusted)
            site = web.TCPSite(
                runner, self._settings.web_host, self._settings.lag_metric_port, ssl_context=context, backlog=16
            )
            await site.start()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wait_for_stopped(), TRUSTED_SECONDS)
        finally:
            await runner.cleanup()


def application(
    behind: Callable[[], Mapping[str, float] | None], names: frozenset[str], namespace: str
) -> web.Application:
    """The handlers. `names` are those that the front proxy's certificate may have; none: any of its CA."""

    @web.middleware
    async def known(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        if names and _name(request) not in names:
            return _status(403, "this is for the API server")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def groups(_: web.Request) -> web.Response:
        version = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
        one = {"name": GROUP, "versions": [version], "preferredVersion": version}
        return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": [one]})

    async def resources(_: web.Request) -> web.Response:
        one = {
            "name": LAG_METRIC,
            "singularName": "",
            "namespaced": True,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }
        kind = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}"}
        return web.json_response(kind | {"resources": [one]})

    async def values(request: web.Request) -> web.Response:
        if request.match_info["namespace"] != namespace or request.match_info["metric"] != LAG_METRIC:
            return _status(404, f"there is {LAG_METRIC} of the namespace {namespace}, and nothing else")
        found = behind()
        if found is None:
            return _status(503, "Kafka does not say how far the workers are")
        try:
            wanted = selected(request.query.get("labelSelector", ""))
        except ValueError as wrong:
            return _status(400, str(wrong))
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        # A role without a record before it, or that nobody has begun, is not behind.
        roles = [wanted] if wanted else sorted(found)
        items = [
            {
                "metricName": LAG_METRIC,
                "metricLabels": {"role": role},
                "timestamp": now,
                "value": f"{round(found.get(role, 0.0) * 1000)}m",
            }
            for role in roles
        ]
        kind = {"kind": "ExternalMetricValueList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}}
        return web.json_response(kind | {"items": items})

    served = web.Application(middlewares=[known])
    served.router.add_get("/apis", groups)
    served.router.add_get(f"{_ROOT}/{VERSION}", resources)
    served.router.add_get(f"{_ROOT}/{VERSION}/namespaces/{{namespace}}/{{metric}}", values)
    return served


def selected(selector: str) -> str:
    """The role that a label selector asks for; empty for all. Raises ValueError."""
    if not selector:
        return ""
    name, mark, role = selector.replace("==", "=").partition("=")
    if name.strip() != "role" or not mark or not role.strip() or "," in role or role.startswith("!"):
        raise ValueError("the selector must be role=NAME")
    return role.strip()


def server_context(settings: Settings, trusted: str) -> ssl.SSLContext:
    """TLS that asks for a certificate of the CA `trusted` (PEM). Blocks. Raises OSError, ValueError."""
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=trusted)
        context.verify_mode = ssl.CERT_REQUIRED
        if settings.lag_metric_cert is not None:
            context.load_cert_chain(settings.lag_metric_cert, settings.lag_metric_key)
            return context
        with tempfile.TemporaryDirectory() as place:
            pair = Path(place) / "pair.pem"
            pair.touch(mode=0o600)
            pair.write_bytes(_pair())
            context.load_cert_chain(pair)
    except ssl.SSLError as wrong:
        raise ValueError(f"the certificate of the lag metric, or its key, is unusable ({wrong.reason})") from None
    return context


def _pair() -> bytes:
    """A key and a certificate of its own, for API servers that do not verify it (`insecureSkipTLSVerify`)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "starling-manager")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=3650))
    made = dated.add_extension(x509.SubjectAlternativeName([x509.DNSName("starling-manager")]), critical=False)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def _front_proxy(found: Cluster) -> tuple[str, frozenset[str]]:
    """The CA of the API server's front proxy, and the names that it may have. Raises Denied, Unavailable, UserError."""
    told = await found.read("ConfigMap", *_READER)
    data = (told or {}).get("data", {})
    if not data.get("requestheader-client-ca-file"):
        raise UserError("the API server has no front proxy: aggregation is off in this cluster")
    names = json.loads(data.get("requestheader-allowed-names") or "[]")
    return data["requestheader-client-ca-file"], frozenset(names)


def _name(request: web.Request) -> str:
    shown = request.transport.get_extra_info("peercert") if request.transport is not None else None
    fields = dict(field for part in (shown or {}).get("subject", ()) for field in part)
    return str(fields.get("commonName", ""))


def _status(code: int, message: str) -> web.Response:
    kind = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return web.json_response(kind | {"message": message, "code": code}, status=code)
