"""Event commands from a process that stays: one reader of the answers for all that wait for one.

A command expires when nobody waits for its answer any more. Whoever was told that it failed can then rely on it: a
command that Kafka gets late, or that no manager has read meanwhile, is refused and not carried out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from app.clients.compacted import POLL_MS
from app.clients.kafka import connection, stop_consumer, unreachable
from app.domain.decisions import Answer, Command
from app.domain.events import Event
from app.errors import NotDone, Unavailable
from app.settings import Settings
from app.topics import EVENT_COMMANDS, EVENT_RESULTS, full_name

log = logging.getLogger(__name__)
Send = Callable[[str, bytes, bytes, int | None], Awaitable[None]]  # topic, key, value, partition; raises Unavailable
_GRACE = 3.0  # seconds: a command that was decided in its last moment is answered within these
_AGAIN = 1.0
_LOOK = 0.5
_decode = msgspec.json.Decoder(Answer).decode


class Commanding(Service):
    """Asks the managers and hears what they answer."""

    abstract = False
    logger = logging.getLogger("mode.commanding")

    def __init__(self, settings: Settings, send: Send, known: Callable[[str], Event | None]) -> None:
        super().__init__()
        self._settings = settings
        self._send = send
        self._known = known
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._consumer: AIOKafkaConsumer | None = None

    async def on_start(self) -> None:
        """Stand at the end of the answers. Raises Unavailable."""
        consumer = AIOKafkaConsumer(
            **connection(self._settings), enable_auto_commit=False, auto_offset_reset="latest", fetch_max_wait_ms=100
        )
        topic = full_name(EVENT_RESULTS, self._settings)
        try:
            await consumer.start()
            await consumer._client.force_metadata_update()  # aiokafka has no public way without a subscription
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(partitions)
            for partition, end in (await consumer.end_offsets(partitions)).items():
                consumer.seek(partition, end)
        except (KafkaError, OSError) as error:
            await stop_consumer(consumer)
            raise unreachable(self._settings, error) from None
        self._consumer = consumer

    async def on_stop(self) -> None:
        """Leave Kafka; whoever waits is told that nothing is known."""
        for future in self._waiting.values():
            future.cancel()
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    @Service.task
    async def _hear(self) -> None:
        assert self._consumer is not None  # noqa: S101 -- on_start has run
        while not self.should_stop:
            try:
                batches = await self._consumer.getmany(timeout_ms=POLL_MS)
            except KafkaError as error:
                log.warning("cannot read the managers' answers; trying again", extra={"why": repr(error)})
                await self.sleep(_AGAIN)
                continue
            for records in batches.values():
                for record in records:
                    self._settle(record.value)

    def _settle(self, value: bytes | None) -> None:
        try:
            answer = _decode(value or b"")
        except msgspec.DecodeError:
            return  # not a manager's
        future = self._waiting.get(answer.id)
        if future is not None and not future.done():
            future.set_result(answer)

    async def ask(self, command: Command, partition: int | None = None) -> Answer:
        """Have a command decided. Raises NotDone, after which it is not carried out any more."""
        patience = self._settings.command_timeout
        command = msgspec.structs.replace(command, expires=datetime.now(UTC) + timedelta(seconds=patience))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[command.id] = future
        try:
            await self._send(
                full_name(EVENT_COMMANDS, self._settings),
                command.code.encode(),
                msgspec.json.encode(command),
                partition,
            )
            async with asyncio.timeout(patience + _GRACE):
                return await self._answered(command, future)
        except (TimeoutError, asyncio.CancelledError):
            if (answer := self._carried_out(command)) is not None:
                return answer
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise NotDone("no manager has answered in time; nothing was done") from None
        except Unavailable as away:
            raise NotDone(f"{away}; nothing was done") from None
        finally:
            del self._waiting[command.id]

    async def _answered(self, command: Command, future: asyncio.Future[Answer]) -> Answer:
        """The answer as soon as it is known. A purge is answered when its rows are gone, which may take minutes: that
        it has begun stands in the event."""
        while not (await asyncio.wait([future], timeout=_LOOK))[0]:
            if (answer := self._carried_out(command)) is not None:
                return answer
        return future.result()

    def _carried_out(self, command: Command) -> Answer | None:
        """The answer that can be read off the event itself, where it was lost on its way."""
        event = self._known(command.code)
        done = next((one for one in reversed(event.history) if one.command == command.id), None) if event else None
        return Answer(id=command.id, code=command.code, accepted=True, version=done.version) if done else None
