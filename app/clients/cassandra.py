"""Connects to Cassandra, and writes rows: many of one partition in one unlogged batch, until they are acknowledged."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import stamina
from cassandra import (
    ConsistencyLevel,
    InvalidRequest,
    OperationTimedOut,
    RequestExecutionException,
    Unauthorized,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, ResultSet, Session
from cassandra.connection import ConnectionException
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement, tuple_factory
from mode import Service

from app import schema
from app.clients.connection import Connection
from app.clients.encoding import coverage_values, encode_bucket, encode_raw, encode_row, outage_values
from app.clients.lookup import LookingAgain
from app.domain.coverage import Interval, Left, Outage
from app.domain.rows import Key, Row
from app.domain.standing import Standing
from app.errors import Unavailable
from app.metrics import ROWS_WRITTEN, WRITE_RETRIES
from app.settings import Settings

log = logging.getLogger(__name__)

# What passes when Cassandra is back: nothing of it is a property of the rows.
TRANSIENT = (NoHostAvailable, OperationTimedOut, RequestExecutionException, ConnectionException, OSError, Unavailable)
WRITE_TIMEOUT = 10.0  # seconds; Cassandra's own is 2, the rest is queueing
ANSWERED_SECONDS = 5.0  # for what is on its way when a process stops, which has 15 for all of it
STOPPED_SECONDS = 15.0
# 64 rows with their raw JSON are about 300 kB: large enough to save round trips, small beside the 16 MB limit.
BATCH_ROWS = 64
BATCH_BYTES = 512 * 1024
ASKED_ROWS = 100  # of one partition, by one query
ASKED_PAGE = 1000  # rows of an account: each lies elsewhere, and a page must come within the time-out
_EPOCH = datetime(1970, 1, 1)  # the driver gives naive UTC
_OF_TLS = re.compile(r"\[SSL: \w+\] (?:certificate verify failed: )?(.+?)\.? \(_ssl")


class _Sized(Protocol):
    @property
    def size(self) -> int:
        """About its bytes."""


T = TypeVar("T", bound=_Sized)
Statement: TypeAlias = tuple[str, list[Any]]  # of `schema.retracting`, by its name, with its values


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Context for encrypted connections, None for plain ones."""
    return ssl.create_default_context(cafile=settings.cassandra_ca_file) if settings.cassandra_ca_file else None


def cluster(settings: Settings) -> Cluster:
    """A cluster object by the settings, not yet connected."""
    hosts, port = settings.cassandra_points
    auth = None
    if settings.cassandra_username:
        secret = settings.cassandra_password.get_secret_value() if settings.cassandra_password else ""
        auth = PlainTextAuthProvider(settings.cassandra_username, secret)
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(settings.cassandra_datacenter)),
        request_timeout=WRITE_TIMEOUT,
        row_factory=tuple_factory,
    )
    context = ssl_context(settings)
    again = LookingAgain(hosts, port, settings.cassandra_datacenter)
    again.cluster = made = Cluster(
        hosts,
        port=port,
        auth_provider=auth,
        ssl_context=context,
        # Else the driver compares the address that it found a node at, which in a cluster no certificate can know.
        ssl_options={"server_hostname": settings.cassandra_tls_name}
        if context and settings.cassandra_tls_name
        else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=4,
        connect_timeout=settings.connect_timeout,
        # What it asks of the cluster before it is connected (2 s by default): one that is busy is not one that is away.
        control_connection_timeout=settings.connect_timeout,
        # /readyz shall know within seconds, also while there is nothing to write (30 by default).
        idle_heartbeat_interval=5,
        idle_heartbeat_timeout=10,
        reconnection_policy=again,
        connection_class=Connection,
        compression=False,  # the way to Cassandra is short, CPU is what a worker lacks
    )
    return made


def connect(settings: Settings, *, to_all: bool = False) -> Session:
    """A connected session without a keyspace: statements name theirs. Blocks. Raises Unavailable.

    It comes once one node is connected, or with `to_all` once all are that can be: for what asks a certain one.
    """
    made = cluster(settings)
    try:
        return made.connect(wait_for_all_pools=to_all)
    except (*TRANSIENT, Unauthorized) as error:
        made.shutdown()
        raise Unavailable(f"Cassandra is not reachable at {settings.cassandra} ({why(error)})") from None


def why(error: Exception) -> str:
    """What Cassandra has against it, in a word, or in OpenSSL's: of that the driver makes a PermissionError."""
    inner = next(iter(error.errors.values()), error) if isinstance(error, NoHostAvailable) else error
    return f"TLS failed: {told[1]}" if (told := _OF_TLS.search(str(inner))) else type(inner).__name__


@contextmanager
def session(settings: Settings, *, to_all: bool = False) -> Iterator[Session]:
    """A session for a while, as `connect` makes it. Raises Unavailable."""
    made = connect(settings, to_all=to_all)
    try:
        yield made
    finally:
        made.cluster.shutdown()


class Rejected(Exception):
    """Cassandra will never take this row; the message says why."""


class Writer(Service):
    """Writes posts. One a process; connects in the background, `connected` must have returned before `write`."""

    abstract = False
    logger = logging.getLogger("mode.writer")

    def __init__(self, settings: Settings, purged: Callable[[str, int], bool], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._purged = purged  # (event code, version): whether its rows are no longer wanted
        self._connected = asyncio.Event()
        self._slots = asyncio.Semaphore(settings.write_concurrency)
        self._listed: dict[tuple[str, int, str], None] = {}
        self._session: Session | None = None
        self._inserts: dict[str, PreparedStatement] = {}
        self._select: PreparedStatement | None = None
        self._retracting: dict[str, PreparedStatement] = {}
        self._retrying = 0  # writes

    @property
    def waiting(self) -> bool:
        """Whether Cassandra is awaited: to connect, to take what it has not taken, or, on a quiet stream, to answer."""
        return self._session is None or self._retrying > 0 or not self._answers(self._session)

    def _answers(self, connected: Session) -> bool:
        """Whether the driver's heartbeat finds a node that writes would go to."""
        near = self._settings.cassandra_datacenter
        return any(host.is_up for host in connected.cluster.metadata.all_hosts() if host.datacenter == near)

    async def connected(self) -> None:
        """Return once there is a connection."""
        await self._connected.wait()

    @Service.task
    async def _connect(self) -> None:
        """Connect, as long as that takes."""
        async for attempt in _for_ever(Unavailable):
            with attempt:
                self._session, self._inserts = await asyncio.to_thread(self._prepared)
        self._connected.set()
        log.info("connected to Cassandra", extra={"at": self._settings.cassandra})

    def _prepared(self) -> tuple[Session, dict[str, PreparedStatement]]:
        made = connect(self._settings)
        try:
            return made, self._prepare(made)
        except Unavailable:
            made.cluster.shutdown()
            raise

    def _prepare(self, connected: Session) -> dict[str, PreparedStatement]:
        names = (schema.TWEET, schema.TWEET_RAW, schema.EVENT_BUCKET, schema.COVERAGE, schema.OUTAGE)
        try:
            self._select = connected.prepare(schema.standing(self._settings))
            self._select.consistency_level = ConsistencyLevel.LOCAL_QUORUM  # a row may not be everywhere yet
            for name, cql in schema.retracting(self._settings).items():
                self._retracting[name] = connected.prepare(cql)
                self._retracting[name].consistency_level = ConsistencyLevel.LOCAL_QUORUM
                self._retracting[name].fetch_size = ASKED_PAGE
            return {name: connected.prepare(schema.insert(self._settings, name)) for name in names}
        except (InvalidRequest, *TRANSIENT) as error:
            raise Unavailable(f"Cassandra's schema is not ready ({error}); `starling migrate` makes it") from None

    async def on_stop(self) -> None:
        """End the connection; what is on its way has a while to be answered, and nothing new sets out."""
        if self._session is None:
            return
        if not self._retrying:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_answered(), ANSWERED_SECONDS)
        self._session.cluster.shutdown()

    async def _all_answered(self) -> None:
        for _ in range(self._settings.write_concurrency):
            await self._slots.acquire()

    async def write(self, rows: list[Row], stamp: int) -> list[tuple[Row, str]]:
        """Write rows and return when all are acknowledged; those that Cassandra will never take come back with why.

        They count as written at `stamp`, microseconds since 1970.
        """
        partitions: dict[tuple[str, int, str], list[Row]] = {}
        for row in rows:
            partitions.setdefault((row.code, row.born, row.bucket), []).append(row)
        await asyncio.gather(*[self.list_bucket(group[0]) for group in partitions.values()])
        batches = [batch for group in partitions.values() for batch in cut(group)]
        refused = await asyncio.gather(*[self._write(batch, stamp) for batch in batches])
        return [entry for entries in refused for entry in entries]

    async def standing(self, rows: list[Row]) -> dict[Key, Standing]:
        """What stands already of these posts of events, by key; waits for Cassandra like `write`."""
        partitions: dict[tuple[str, int, str], dict[str, Row]] = {}
        for row in rows:
            partitions.setdefault((row.code, row.born, row.bucket), {})[row.post.id] = row
        asked = []
        for group in partitions.values():
            distinct = list(group.values())
            asked += [distinct[at : at + ASKED_ROWS] for at in range(0, len(distinct), ASKED_ROWS)]
        found: dict[Key, Standing] = {}
        for answer in await asyncio.gather(*[self._ask(group) for group in asked]):
            found |= answer
        return found

    async def _ask(self, rows: list[Row]) -> dict[Key, Standing]:
        assert self._select is not None  # noqa: S101 -- `connected` has returned
        first = rows[0]
        bound = self._select.bind([first.code, first.bucket, [row.post.id for row in rows]])
        try:
            answer = await self._until_done(bound, lambda: self._purged(first.code, first.born))
        except Rejected:
            if len(rows) == 1:
                return {}  # nothing can stand under such a key; writing it will say why
            found: dict[Key, Standing] = {}
            for row in rows:
                found |= await self._ask([row])
            return found
        return {
            (first.code, first.bucket, post_id): Standing(origin or "", version or 0, ms_of(received_at))
            for post_id, origin, version, received_at in answer.rows
        }

    async def perform(self, name: str, values: list[Any]) -> list[Any]:
        """Carry out a statement of `schema.retracting`, and wait for Cassandra like `write`; all rows that it finds.

        Raises Rejected.
        """
        return [row async for page in self.pages(name, values) for row in page]

    async def pages(self, name: str, values: list[Any]) -> AsyncIterator[Sequence[Any]]:
        """The same, page by page."""
        statement = self._retracting[name].bind(values)
        page = await self._until_done(statement, lambda: False)
        yield page.rows
        while page.state is not None:
            page = await self._until_done(statement, lambda: False, page.state)
            yield page.rows

    async def perform_together(self, some: Iterable[Statement]) -> None:
        """Carry out statements that write to the same partition of several tables: Cassandra takes them as one."""
        batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
        for name, values in some:
            batch.add(self._retracting[name].bind(values))
        await self._until_done(batch, lambda: False)

    async def write_coverage(self, entries: Iterable[Interval | Outage | Left]) -> None:
        """Write entries of the ledger, each over what stood of it before; return when all are acknowledged."""
        await asyncio.gather(*[self._until_done(self._of_ledger(one), lambda: False) for one in entries])

    def _of_ledger(self, one: Interval | Outage | Left) -> BoundStatement:
        if isinstance(one, Interval):
            return self._inserts[schema.COVERAGE].bind(coverage_values(one))
        return self._inserts[schema.OUTAGE].bind(outage_values(one))

    async def list_bucket(self, row: Row) -> None:
        """Put the bucket on its event's list, before the first row stands in it; a purge takes it off."""
        if (row.code, row.born, row.bucket) in self._listed:
            return
        bound = BoundStatement(self._inserts[schema.EVENT_BUCKET])
        bound.values = encode_bucket(row)
        await self._until_done(bound, lambda: self._purged(row.code, row.born))
        self._listed[row.code, row.born, row.bucket] = None
        if len(self._listed) > 10_000:
            del self._listed[next(iter(self._listed))]

    async def _write(self, rows: list[Row], stamp: int) -> list[tuple[Row, str]]:
        try:
            # Each try by a stamp of its own: a list that is written twice as of the same moment has its values twice.
            tries = (self._batch(rows, at) for at in count(stamp, 2))
            await self._until_done(next(tries), lambda: self._purged(rows[0].code, rows[0].born), anew=tries)
        except Rejected as rejected:
            if len(rows) == 1:
                return [(rows[0], str(rejected))]
            refused = [await self._write([row], stamp) for row in rows]
            return [entry for entries in refused for entry in entries]
        ROWS_WRITTEN.inc(len(rows))
        return []

    def _batch(self, rows: list[Row], stamp: int) -> BatchStatement:
        batch = BatchStatement(BatchType.UNLOGGED)
        for row in rows:
            for table, values in ((schema.TWEET, encode_row(row, stamp)), (schema.TWEET_RAW, encode_raw(row, stamp))):
                if table == schema.TWEET_RAW and not row.post.raw:
                    continue  # redacted
                bound = BoundStatement(self._inserts[table])
                bound.values = values
                batch.add(bound)
        return batch

    async def _until_done(
        self,
        statement: BatchStatement | BoundStatement,
        unwanted: Callable[[], bool],
        state: bytes | None = None,
        anew: Iterator[BatchStatement] | None = None,
    ) -> Page:
        async with self._slots:
            try:
                return await self._execute(statement, state)
            except TRANSIENT as error:
                if self.should_stop:
                    # The connection was ended, Cassandra has not failed. Whoever waits is stopped next: an agent that
                    # ended by itself would be taken for one that failed.
                    await asyncio.sleep(STOPPED_SECONDS)
                    raise asyncio.CancelledError from None
                return await self._again(statement, unwanted, error, state, anew)

    async def _again(
        self,
        statement: BatchStatement | BoundStatement,
        unwanted: Callable[[], bool],
        error: Exception,
        state: bytes | None,
        anew: Iterator[BatchStatement] | None,
    ) -> Page:
        """Try until Cassandra has it; the posts wait here and their offsets stand still."""
        log.warning("Cassandra does not take writes; trying again", extra={"why": why(error)})
        self._retrying += 1
        try:
            async for attempt in _for_ever(TRANSIENT):
                with attempt:
                    WRITE_RETRIES.inc()
                    if unwanted():
                        break  # what is written after the purge would stay for ever
                    return await self._execute(statement if anew is None else next(anew), state)
        finally:
            self._retrying -= 1
        return Page()

    async def _execute(self, statement: BatchStatement | BoundStatement, state: bytes | None) -> Page:
        """One try; a page of what it finds."""
        assert self._session is not None  # noqa: S101 -- `connect` comes first
        try:
            return await answer(self._session, statement, state)
        except InvalidRequest as invalid:
            raise await self._verdict(invalid) from None

    async def _verdict(self, invalid: InvalidRequest) -> Exception:
        """Whose fault it is: the row's, if the statements as such are still valid; else the schema is awaited."""
        assert self._session is not None  # noqa: S101 -- it has answered
        try:
            await asyncio.to_thread(self._prepare, self._session)
        except Unavailable as gone:
            return gone
        return Rejected(str(invalid))


class Page(NamedTuple):
    """A page of what a statement finds, and where the next one begins."""

    rows: Sequence[Any] = ()
    state: bytes | None = None


async def answer(connected: Session, statement: BatchStatement | BoundStatement, state: bytes | None = None) -> Page:
    """The first page of what a statement finds, or that of a place. The driver answers on a thread of its own."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Page] = loop.create_future()

    def settle(rows: Sequence[Any] | None, error: Exception | None = None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(Page(rows or (), ResultSet(future, rows).paging_state))
        else:
            done.set_exception(error)

    future: Any = connected.execute_async(statement, paging_state=state)
    future.add_callbacks(
        lambda rows: loop.call_soon_threadsafe(settle, rows),
        lambda error: loop.call_soon_threadsafe(settle, None, error),
    )
    return await done


def _for_ever(errors: type[Exception] | tuple[type[Exception], ...]) -> Any:
    """Tries without end, 0.1 s to 10 s apart: giving up would lose posts or move an offset too early."""
    return stamina.retry_context(on=errors, attempts=None, timeout=None, wait_initial=0.1, wait_max=10.0)


def ms_of(at: datetime | None) -> int:
    """Milliseconds since 1970 of a moment as the driver gives it: UTC without saying so."""
    return 0 if at is None else (at - _EPOCH) // timedelta(milliseconds=1)


def cut(items: Iterable[T]) -> Iterator[list[T]]:
    """Batches that Cassandra takes."""
    batch: list[T] = []
    size = 0
    for item in items:
        if batch and (len(batch) >= BATCH_ROWS or size + item.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch
