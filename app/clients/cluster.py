"""A namespace of a Kubernetes cluster, by the official client's asyncio part.

    async with cluster(settings) as found:
        for template in await found.listed("PodTemplate", "starling/role"): ...

Objects go in and out as plain data: the client's classes know the fields of one release, data keeps what it does not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, ApiException, Configuration
from kubernetes.aio.config.config_exception import ConfigException

from app.domain.cluster_objects import API, Object
from app.errors import Unavailable, UserError
from app.settings import Settings

SECONDS = 10.0  # for an answer
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PLURAL = {
    "PodTemplate": "podtemplates",
    "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "ConfigMap": "configmaps",
}


class Denied(Exception):
    """The API server refuses this one request, and will again; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cluster:
    """Reads and writes objects of one namespace; `cluster` makes one."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    async def listed(self, kind: str, selector: str) -> list[Object]:
        """Objects with these labels. Raises Denied, Unavailable."""
        found = await self._ask("GET", _path(kind, self.namespace), [("labelSelector", selector)])
        # A list leaves out what all its items have in common.
        return [{"apiVersion": API.get(kind, "v1"), "kind": kind} | item for item in found["items"]]

    async def read(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """An object, None where there is none. Raises Denied, Unavailable."""
        try:
            found = await self._ask("GET", f"{_path(kind, namespace or self.namespace)}/{name}")
        except Denied as denied:
            if denied.status == 404:
                return None
            raise
        return found

    async def apply(self, thing: Object, manager: str, *, dry_run: bool = False) -> Object:
        """Server-side apply: have these fields so, whoever wrote them last; the object. Raises Denied, Unavailable."""
        path = f"{_path(thing['kind'], self.namespace)}/{thing['metadata']['name']}"
        query = [("fieldManager", manager), ("force", "true"), *([("dryRun", "All")] if dry_run else [])]
        return await self._ask("PATCH", path, query, thing, "application/apply-patch+yaml")

    async def remove(self, kind: str, name: str, uid: str) -> None:
        """Delete an object if it is the one with this uid; one that is gone is gone. Raises Denied, Unavailable."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._ask("DELETE", f"{_path(kind, self.namespace)}/{name}", body=body)
        except Denied as denied:
            if denied.status not in (404, 409):  # 409: another of that name by now
                raise

    async def _ask(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> Object:
        headers = {"Accept": "application/json", "Content-Type": content}
        try:
            answer = await self._client.call_api(
                path,
                method,
                query_params=query or [],
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=SECONDS,
            )
            text = await answer.text()
        except ApiException as error:
            raise Denied(int(error.status or 0), str(error.reason)) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"the API server does not answer ({type(error).__name__})") from None
        # 500 is about this request: a webhook that is asked about this object does not answer, for one.
        if answer.status == 429 or answer.status > 500:
            raise Unavailable(f"the API server answers {answer.status}")
        try:
            told = json.loads(text)
        except ValueError:
            raise Unavailable(f"the API server answers {answer.status} without JSON") from None
        if answer.status >= 400:
            raise Denied(answer.status, str(told.get("message", answer.status)))
        return dict(told)


def _path(kind: str, namespace: str) -> str:
    version = API.get(kind, "v1")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{_PLURAL[kind]}"


@asynccontextmanager
async def cluster(settings: Settings) -> AsyncIterator[Cluster]:
    """The cluster that this process runs in, else the one of KUBECONFIG. Raises UserError where there is neither."""
    configuration = Configuration()
    try:
        namespace = await (_in_pod(configuration) if in_pod() else _by_kubeconfig(configuration))
    except (ConfigException, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"no cluster: not in a pod, and no usable KUBECONFIG ({error})") from None
    async with ApiClient(configuration) as client:
        yield Cluster(client, settings.cluster_namespace or namespace)


def in_pod() -> bool:
    """Whether this process runs in a cluster, with a service account."""
    return _NAMESPACE.exists()


async def _in_pod(configuration: Configuration) -> str:
    """Fill in where the API server is and who we are; the namespace that is meant."""
    config.load_incluster_config(client_configuration=configuration)
    return (await asyncio.to_thread(_NAMESPACE.read_text)).strip()


async def _by_kubeconfig(configuration: Configuration) -> str:
    await config.load_kube_config(client_configuration=configuration)
    _, active = config.list_kube_config_contexts()
    return str(active["context"].get("namespace") or "default")
