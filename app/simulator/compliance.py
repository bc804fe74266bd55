"""X's batch compliance jobs: ids are uploaded, and those of them that are gone come back, each with why.

Source: X's pages on `/2/compliance/jobs`. Which posts are gone a test says by `POST /control/gone`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from app.simulator.http import may

_LONG = 900  # seconds in which the ids may be uploaded
_WEEK = 7 * 86_400  # in which the results may be downloaded


class Jobs:
    """The jobs of an account: one of a type at a time."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self.told: dict[str, dict[str, Any]] = {}  # jobs by id
        self._ids: dict[str, list[str]] = {}
        self.gone: dict[str, str] = {}  # id -> reason
        self.polls = 1  # answers "in_progress" to so many questions

    def routes(self) -> list[web.RouteDef]:
        """Its part of the server."""
        return [
            web.post("/2/compliance/jobs", self._create),
            web.get("/2/compliance/jobs", self._list),
            web.get("/2/compliance/jobs/{id}", self._show),
            web.put("/storage/{id}", self._upload),
            web.get("/storage/{id}", self._download),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        if not may(request, self._token):
            return _problem(401, "Unauthorized")
        try:
            asked = orjson.loads(await request.read())
            kind = asked["type"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return _problem(400, "Invalid Request")
        if kind not in ("tweets", "users"):
            return _problem(400, "Invalid Request")
        if any(job["type"] == kind and job["status"] in ("created", "in_progress") for job in self.told.values()):
            return _problem(409, "You already have a job of this type in progress")
        now = time.time()
        number = str(1_400_000_000_000_000_000 + len(self.told))
        storage = str(request.url.origin() / "storage" / number)
        self.told[number] = {
            "id": number,
            "type": kind,
            "name": asked.get("name", ""),
            "status": "created",
            "resumable": False,
            "created_at": _iso(now),
            "upload_url": f"{storage}?signature=up",
            "upload_expires_at": _iso(now + _LONG),
            "download_url": f"{storage}?signature=down",
            "download_expires_at": _iso(now + _WEEK),
        }
        return web.json_response({"data": self.told[number]})

    async def _list(self, request: web.Request) -> web.Response:
        if not may(request, self._token):
            return _problem(401, "Unauthorized")
        found = [job for job in self.told.values() if job["type"] == request.query.get("type")]
        return web.json_response({"data": found, "meta": {"result_count": len(found)}})

    async def _show(self, request: web.Request) -> web.Response:
        if not may(request, self._token):
            return _problem(401, "Unauthorized")
        job = self.told.get(request.match_info["id"])
        if job is None:
            return _problem(404, "Not Found")
        if job["status"] == "in_progress":
            if self.polls > 0:
                self.polls -= 1
            else:
                job["status"] = "complete"
        return web.json_response({"data": job})

    async def _upload(self, request: web.Request) -> web.Response:
        """As the storage takes it: signed, of plain text, without a token of X's, which is none of its business."""
        job = self.told.get(request.match_info["id"])
        signed = request.query.get("signature") == "up" and request.content_type == "text/plain"
        if job is None or not signed or "Authorization" in request.headers:
            return web.Response(status=403)
        self._ids[job["id"]] = (await request.text()).split()
        job["status"] = "in_progress"
        return web.Response()

    async def _download(self, request: web.Request) -> web.Response:
        job = self.told.get(request.match_info["id"])
        signed = request.query.get("signature") == "down" and "Authorization" not in request.headers
        if job is None or not signed or job["status"] != "complete":
            return web.Response(status=403)
        lines = [_result(one, self.gone[one]) for one in self._ids[job["id"]] if one in self.gone]
        return web.Response(body=b"\n".join(lines), content_type="application/octet-stream")


def _result(number: str, reason: str) -> bytes:
    now = _iso(time.time())
    told = {"id": number, "action": "delete", "created_at": now, "redacted_at": now, "reason": reason}
    return orjson.dumps(told)


def _problem(status: int, title: str) -> web.Response:
    return web.json_response({"title": title, "detail": title, "type": "about:blank", "status": status}, status=status)


def _iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
