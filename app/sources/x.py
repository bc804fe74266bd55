"""X API v2: the filtered stream, and recent search for what the stream has missed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec
import orjson
from msgspec import Struct

from app.domain.events import Event
from app.domain.records import Origin
from app.domain.rules import TAG_MARK, Rule, plan_rules, split
from app.settings import Settings
from app.sources.lines import lines_of
from app.sources.source import Asking, Broken, Fact, Found, Opened, Place, Query, Resume, Selection, Sure, Trouble
from app.sources.v1 import Limit
from app.sources.x_client import CONNECTIONS, SEARCH, Client, WrongQuery
from app.sources.x_rules import RuleKeeper

# What the columns are made of (docs/columns.md); X sends only id and text unasked.
FIELDS = {
    "tweet.fields": "attachments,author_id,created_at,entities,geo,in_reply_to_user_id,lang,note_tweet,public_metrics,"
    "referenced_tweets",
    "user.fields": "created_at,description,location,name,public_metrics,url,username",
    "media.fields": "media_key,preview_image_url,type,url",
    "place.fields": "full_name,geo,id,name",
    "expansions": "attachments.media_keys,author_id,entities.mentions.username,geo.place_id,in_reply_to_user_id,"
    "referenced_tweets.id,referenced_tweets.id.attachments.media_keys,referenced_tweets.id.author_id",
}
_PAGE = 100
_SEARCHABLE_AFTER = 11.0  # seconds; X wants `end_time` to be 10 s in the past


class _Rule(Struct, gc=False):
    id: str | None = None
    tag: str | None = None


class _Post(Struct, gc=False):
    id: str


class _Problem(Struct, gc=False):
    title: str | None = None
    detail: str | None = None
    disconnect_type: str | None = None
    connection_issue: str | None = None


class _Line(_Problem, gc=False):
    """All that is read of a line here; msgspec passes over the rest without making anything of it."""

    data: _Post | None = None
    matching_rules: list[_Rule] = []
    errors: list[_Problem] = []
    limit: Limit | None = None  # X documents none for v2; where one comes it is as v1.1 has it


_decode = msgspec.json.Decoder(_Line).decode


class X:
    """The filtered stream of one account (a `Source`)."""

    name = "x"
    form = "v2"
    silent_seconds = 25.0  # a keep-alive comes every 20 s
    selective = True
    filtered = False
    finds: Origin = "search"
    reach_ms = 7 * 24 * 3_600_000  # of recent search

    def __init__(self, settings: Settings) -> None:
        token = settings.x_bearer_token
        self._client = Client(settings.x_url, token.get_secret_value() if token else None)
        # Deployments that share an account must not remove each other's rules.
        self._mark = f"{TAG_MARK}{settings.topic_prefix}:" if settings.topic_prefix else TAG_MARK
        self._keeper = RuleKeeper(self._client, self._mark, settings.x_rules, settings.x_rule_length)
        self.again_seconds = settings.x_rules_seconds
        self._backfill_minutes = settings.x_backfill_minutes
        self._query_length = settings.x_query_length

    async def select(self, events: Sequence[Event], sure: Sure) -> Selection:
        """Have X's rules ask for these events: they are read, and changed in one request a hundred rules."""
        return await self._keeper.select(events, sure)

    async def listen(self, resume: Resume) -> AsyncGenerator[Opened | list[bytes], None]:
        """The stream, with what the plan can deliver of the time since it was last heard."""
        if self._keeper.count == 0:
            raise Broken(Trouble.HTTP, "X has no rule to listen for: no active event has any that X takes")
        minutes, since_ms = self._backfill(resume)
        try:
            answer = await self._client.open_stream(FIELDS | ({"backfill_minutes": str(minutes)} if minutes else {}))
        except Broken as broken:
            if broken.trouble is not Trouble.HTTP:
                raise
            hint = "; if the X plan has no backfill, set STARLING_X_BACKFILL_MINUTES=0" if minutes else ""
            raise Broken(broken.trouble, f"{broken}{hint}", retry_after=broken.retry_after) from broken
        try:
            note = f"{minutes} minutes of backfill asked for" if minutes else ""
            yield Opened(since_ms, note, added_ms=self._keeper.added_ms() if minutes else {})
            async with aclosing(lines_of(answer, "X")) as several:
                async for lines in several:
                    yield lines
        finally:
            answer.close()
            self._keeper.forget()

    def fact(self, line: bytes) -> Fact:
        """Id and tags of a post, or why X ends the connection."""
        try:
            read = _decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Fact()
        if read.data is not None:
            mark, length = self._mark, len(self._mark)
            tags = [
                code
                for rule in read.matching_rules
                if rule.tag and rule.tag.startswith(mark)
                for code in self._keeper.codes(rule.id, rule.tag[length:])
            ]
            return Fact(read.data.id, tags=tuple(dict.fromkeys(tags)) if len(tags) > 1 else tuple(tags))
        if read.limit is not None:
            return Fact(withheld=read.limit.track)
        for problem in (read, *read.errors):
            if problem.connection_issue or problem.disconnect_type or "disconnect" in (problem.title or ""):
                crowded = problem.connection_issue == "TooManyConnections"
                said = problem.detail or problem.title or problem.connection_issue
                return Fact(ends=f"X: {said}", trouble=Trouble.CONNECTIONS if crowded else Trouble.DISCONNECTED)
        return Fact()

    async def release(self) -> None:
        """End every connection to the filtered stream that X counts for this account."""
        params = {
            "status": "active",
            "endpoints": "filtered_stream",
            "max_results": "100",
            "connection.fields": "client_ip,connected_at,disconnect_reason,disconnected_at,endpoint_name,id",
        }
        listed = orjson.loads(await self._client.fetch("GET", CONNECTIONS, params)).get("data") or ()
        if names := [item["id"] for item in listed if item.get("id")]:
            await self._client.fetch("DELETE", CONNECTIONS, json={"uuids": names})

    def asking(self, events: Sequence[Event]) -> Asking:
        """The queries for these events: no more than a query may hold, nor what X has not understood in a rule."""
        plan = plan_rules(events, most=1_000_000, length=self._query_length, unusable=self._keeper.unusable)
        codes: dict[str, list[str]] = {}
        for rule in plan.rules:
            codes.setdefault(rule.value, []).append(rule.tag)
        queries = [Query(text, tuple(some)) for text, some in codes.items()]
        return Asking(events, queries, {code: list(what) for code, what in plan.refused.items()})

    async def search(self, asking: Asking, since_ms: int, until_ms: int, place: Place) -> AsyncGenerator[Found, None]:
        """Posts of that time from recent search (the last seven days), a page a line; each post read is paid for.

        Newest first, query by query: a post that several queries find comes several times. A query that X does not
        understand gives way to its clauses, one by one. Raises Broken.
        """
        if (early := until_ms / 1000 + _SEARCHABLE_AFTER - time.time()) > 0:
            await asyncio.sleep(early)
        asked = {
            "max_results": str(_PAGE),
            "start_time": _second(math.floor(since_ms / 1000)),
            "end_time": _second(math.ceil(until_ms / 1000)),
        }
        while place.query < len(asking.queries):
            page = {"next_token": place.page} if place.page else {}
            query = {"query": asking.queries[place.query].text}
            try:
                body = await self._client.fetch("GET", SEARCH, FIELDS | asked | page | query)
            except WrongQuery as wrong:
                _narrow(asking, place.query, str(wrong))
                continue
            try:
                meta = _meta(body).meta
            except msgspec.ValidationError:
                # Nothing found is said, too: a time of which X says nothing has not been searched.
                raise Broken(Trouble.HTTP, "X answered a search and did not say how much it found") from None
            if meta.next_token and meta.next_token == place.page:
                raise Broken(Trouble.HTTP, "X leads a search to the page that it has just given")
            place = Place(place.query, meta.next_token) if meta.next_token else Place(place.query + 1)
            if meta.result_count:
                yield Found(body if b"\n" not in body else orjson.dumps(orjson.loads(body)), place)

    async def close(self) -> None:
        """Close the connections that it holds."""
        await self._client.close()

    def _backfill(self, resume: Resume) -> tuple[int, int | None]:
        """Minutes to ask for, and from which moment on X then delivers all."""
        if not self._backfill_minutes or resume.heard_ms is None:
            return 0, None
        now_ms = time.time() * 1000
        away = (now_ms - resume.heard_ms) / 60_000
        minutes = max(1, min(self._backfill_minutes, math.ceil(away)))
        return minutes, max(resume.heard_ms, math.ceil(now_ms) - minutes * 60_000)


def _narrow(asking: Asking, at: int, why: str) -> None:
    """Ask for the clauses of a query one by one; one that stands alone is not asked for."""
    wrong = asking.queries[at]
    alone = [Query(rule.value, wrong.codes) for rule in split(Rule("", wrong.text))]
    if len(alone) > 1:
        asking.queries[at : at + 1] = alone
        return
    del asking.queries[at]
    for code in wrong.codes:
        asking.refused.setdefault(code, []).append(f"{wrong.text}: {why}")


class _Meta(Struct, frozen=True):
    result_count: int
    next_token: str | None = None


class _Page(Struct):
    meta: _Meta


_meta = msgspec.json.Decoder(_Page).decode


def _second(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
