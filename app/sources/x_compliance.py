"""X's batch compliance jobs: which of the posts that are stored X has taken back.

X's page "Batch compliance": a job is created, the ids are uploaded to an address that it names (within 15 minutes), its
status is asked for until it is complete, and the results, one JSON object a line, are downloaded from another address.
These addresses are signed and belong to a storage, which must not see the token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from app.domain.fields import text
from app.domain.moments import moment
from app.domain.retracting import Retraction
from app.settings import Settings
from app.sources.account import Account
from app.sources.answers import refusal
from app.sources.lines import Splitter
from app.sources.reaching import host_of, unreachable, why
from app.sources.source import Broken, Trouble

_JOBS = "2/compliance/jobs"
_WHAT = "a compliance job"
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 60.0  # seconds between two questions; X answers 150 in a quarter of an hour
_UPLOAD_SECONDS = 840.0  # X takes the ids for 900 s
_IDLE_SECONDS = 120.0
_CONFLICT = 409  # X works on one job of a type at a time

Status: TypeAlias = Literal["created", "in_progress", "complete", "failed", "expired"]


class Job(Struct, frozen=True):
    """A job as X tells it."""

    id: str
    status: Status
    upload_url: str = ""
    download_url: str = ""


class _Answer(Struct):
    data: Job


class _Result(Struct):
    """A line of the results. What is odd beside the id keeps no post from being taken back."""

    id: str | int
    action: Any = None
    reason: Any = None
    redacted_at: Any = None


_job = msgspec.json.Decoder(_Answer).decode
_result = msgspec.json.Decoder(_Result).decode


class Compliance:
    """Jobs of one account. Every call raises Broken."""

    def __init__(self, settings: Settings) -> None:
        token = settings.x_bearer_token
        self._base = URL(settings.x_url.rstrip("/"))
        self._account = Account(token.get_secret_value() if token else None)
        self._storage = aiohttp.ClientSession(headers={"User-Agent": "starling"})

    async def close(self) -> None:
        """Close the connections that it holds."""
        await self._account.close()
        await self._storage.close()

    async def create(self, name: str) -> Job:
        """A new job for ids of posts."""
        return await self._ask("POST", self._base / _JOBS, json={"type": "tweets", "name": name})

    async def upload(self, job: Job, ids: Path) -> None:
        """Hand over a file of ids, one a line."""
        at = self._safe(job.upload_url)
        limits = aiohttp.ClientTimeout(total=_UPLOAD_SECONDS)
        try:
            with ids.open("rb") as file:
                headers = {"Content-Type": "text/plain"}  # the address is signed for it
                async with self._storage.put(at, data=file, headers=headers, timeout=limits) as answer:
                    if answer.status >= 300:
                        raise Broken(Trouble.HTTP, f"{host_of(at)} does not take the ids ({answer.status})")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise unreachable(at, error) from error

    async def wait(self, number: str, told: Callable[[Status], None]) -> Job:
        """The job, once it is complete; `told` is told how it is."""
        pause = _FIRST_WAIT
        while True:
            job = await self._ask("GET", self._base / _JOBS / number)
            told(job.status)
            if job.status == "complete":
                return job
            if job.status in ("failed", "expired"):
                raise Broken(Trouble.HTTP, f"X says that job {number} has {job.status}; begin another")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_WAIT)

    async def results(self, job: Job) -> AsyncIterator[Retraction]:
        """What X has taken back of the posts that were uploaded."""
        at = self._safe(job.download_url)
        splitter = Splitter()
        limits = aiohttp.ClientTimeout(total=None, sock_read=_IDLE_SECONDS)
        try:
            async with self._storage.get(at, timeout=limits) as answer:
                if answer.status != 200:
                    raise Broken(Trouble.HTTP, f"{host_of(at)} does not hand over the results ({answer.status})")
                async for piece in answer.content.iter_any():
                    for line in splitter.feed(piece):
                        yield retraction_of_result(line)
                for line in splitter.feed(b"\n"):
                    yield retraction_of_result(line)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Broken(Trouble.NETWORK, f"{host_of(at)} broke off ({why(error)})") from error

    async def _ask(self, method: str, url: URL, **asked: object) -> Job:
        answer, body = await self._account.fetch(method, url, **asked)
        if answer.status == _CONFLICT:
            raise Broken(Trouble.HTTP, "X still works on another job of this account; wait, or go on with it by --job")
        if answer.status >= 300:
            raise refusal(answer.status, answer.headers, body, _WHAT)
        try:
            return _job(body).data
        except (msgspec.MsgspecError, ValueError):
            raise Broken(Trouble.HTTP, f"{host_of(url)} answered {_WHAT} with what is none") from None

    def _safe(self, address: str) -> URL:
        """The address of the storage: encrypted, where X itself is."""
        url = URL(address, encoded=True)
        if not url.host or url.scheme not in ("https", self._base.scheme):
            raise Broken(Trouble.HTTP, "X names no address for the ids or results of its job")
        return url


def retraction_of_result(line: bytes) -> Retraction:
    """What a line of the results takes back. Raises Broken: to pass one over would leave a post that is to go."""
    try:
        found = _result(line)
    except (msgspec.MsgspecError, ValueError):
        found = _Result("")
    if found.id == "":
        raise Broken(Trouble.HTTP, "a result of X's compliance job cannot be read")
    at, reason = moment(found.redacted_at), text(found.reason) or text(found.action) or "deleted"
    return Retraction(
        kind="geo" if reason == "scrub_geo" else "delete",
        at=int(time.time() * 1000) if at is None else at,
        post=str(found.id),
        why=f"X: {reason}",
        source="x",
    )
