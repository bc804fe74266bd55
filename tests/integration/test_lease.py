"""Of all trackers one listens: through kill -9, SIGTERM, a freeze, and the end of a membership."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import mkdtemp

import msgspec
import pytest
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from app.domain.coverage import Interval
from app.domain.events import Definition
from app.domain.heard import Gap
from app.domain.holders import OVERLAP_MS
from app.domain.records import raw_headers
from app.local.stack import Stack
from app.settings import Settings
from app.topics import COVERAGE
from app.tracking.lease import Lease
from app.tracking.listening import STOPPED
from tests import builders
from tests.support import events, topics, tracking
from tests.support.chain import Chain, chain
from tests.support.place import place
from tests.support.simulator import Simulator
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import Worker, worker

scenarios = Together(at_once=4)
RATE = 50
EDITED = Definition(keywords=("rotwasser", "blauwasser"))


class Ground:
    """Manager and worker, a simulator with posts at a steady rate, and trackers."""

    def __init__(self, chain: Chain, simulator: Simulator, trackers: list[Worker]) -> None:
        self.settings = chain.settings
        self.chain = chain
        self.simulator = simulator
        self.trackers = trackers
        self._pushed = 0

    def push(self, count: int) -> None:
        """Have more posts arise, RATE a second."""
        self.simulator.push(tracking.stream(count, self._pushed), rate=RATE)
        self._pushed += count

    def wait_risen(self) -> None:
        """Return once all that was pushed has arisen."""
        tracking.wait_risen(self.simulator, self._pushed)

    def holder(self) -> Worker:
        """The tracker that has the lease."""
        (found,) = [
            one for one in self.trackers if one.alive() and '"lease":true' in one.get("/sources")[1].replace(" ", "")
        ]
        return found

    def written(self) -> int:
        """Up to when the ledger says that it was heard, once that is later than this call: it is kept up to date."""
        now = int(time.time() * 1000)
        return until(lambda: (told := tracking.ledger(self.settings)[0][-1].until) > now and told, "it is written down")

    def wait_connected_anew(self, before: set[str]) -> None:
        self.simulator.wait(
            lambda state: {one["id"] for one in state["connections"]} - before, "another connection", 60
        )

    def wait_stored(self, due: set[str], gap: Gap) -> None:
        """Return once all of these posts are stored but what X has sent into the gap, where nobody read it any more."""
        sent = {one["id"]: int(one["at"] * 1000) for one in self.simulator.log(what="post")}

        def missing() -> list[int]:
            lost = due - tracking.stored(self.settings, "flood")
            return sorted(sent[one] for one in lost if not gap.since <= sent[one] < gap.until)

        until(lambda: not missing(), lambda: f"stored; still missing, of those outside {gap}: {missing()}")

    def check_counted(self) -> None:
        """Each post is counted once, whoever has sent it."""
        until(
            lambda: self.chain.counted()["flood"] == len(tracking.stored(self.settings, "flood")),
            "as many are counted as are stored",
        )

    def connections(self) -> set[str]:
        return {one["id"] for one in self.simulator.connections("x")}


@contextmanager
def ground(stack: Stack, trackers: int = 2) -> Iterator[Ground]:
    with ExitStack() as opened:
        simulator = opened.enter_context(Simulator("--keep-alive", "2", token=tracking.TOKEN))
        own = tracking.x(simulator, spool_dir=mkdtemp(prefix="spool-"))
        rest = opened.enter_context(chain(stack, "manager", "worker", **own))
        started = [opened.enter_context(worker(rest.settings, "tracker")) for _ in range(trackers)]
        for one in started:
            one.wait_ready()
        made = Ground(rest, simulator, started)
        if started:
            tracking.flood(rest.settings, simulator)
        yield made


def missed_ids(on: Ground) -> set[str]:
    """Ids that X never sent, as nobody was connected."""
    tag = f"starling:{on.settings.topic_prefix}:flood"
    return on.simulator.missed().get(tag, set())


@scenarios.add
def a_tracker_that_is_killed_is_followed_by_the_other_and_leaves_one_gap(stack: Stack) -> None:
    with ground(stack) as on:
        on.push(RATE * 40)
        tracking.wait_risen(on.simulator, RATE * 8)
        holder, before = on.holder(), on.connections()
        written = on.written()
        holder.kill()
        killed = time.time()
        on.wait_connected_anew(before)
        until(lambda: len(tracking.ledger(on.settings)[0]) == 2, "that is written down, too")
        told = time.time()
        on.wait_risen()
        due = tracking.due(on.simulator, on.settings, "flood")
        stored = until(
            lambda: (found := tracking.stored(on.settings, "flood")) and len(due - found) < 3 * RATE and found, "stored"
        )
        (gap,) = until(lambda: len(one := tracking.gaps(on.settings)) == 1 and one, "exactly one gap")
        connected = [one["at"] for one in on.simulator.log(what="connection") if one["change"] == "connected"][-1]
        assert written <= gap.since <= killed * 1000
        assert int(connected * 1000) <= gap.until <= told * 1000
        assert "died" in gap.why
        on.wait_stored(due, gap)
        assert stored
        on.check_counted()


@scenarios.add
def a_tracker_that_stops_is_followed_at_once(stack: Stack) -> None:
    with ground(stack) as on:
        on.push(RATE * 20)
        tracking.wait_risen(on.simulator, RATE * 5)
        holder, before = on.holder(), on.connections()
        assert holder.term() == 0
        on.wait_connected_anew(before)
        on.wait_risen()
        due = tracking.due(on.simulator, on.settings, "flood")
        (gap,) = tracking.gaps(on.settings)
        assert "stopped" in gap.why
        on.wait_stored(due, gap)
        assert [one for one in holder.complaints() if not one.get("logger", "").startswith("aiokafka")] == []


@scenarios.add
def a_tracker_that_was_frozen_knows_that_it_lost_the_lease(stack: Stack) -> None:
    with ground(stack) as on:
        on.push(RATE * 75)
        tracking.wait_risen(on.simulator, RATE * 5)
        holder, before = on.holder(), on.connections()
        written = on.written()
        holder.freeze()
        frozen = time.time()
        on.wait_connected_anew(before)
        taken_over = on.connections()
        events.accepted(on.settings, events.command("edit", "flood", definition=EDITED))
        on.simulator.wait(lambda state: "blauwasser" in str(state["rules"]), "X is asked for what was edited")
        tracking.wait_risen(on.simulator, RATE * 65)
        asked = on.simulator.log(what="rule")
        holder.thaw()
        until(lambda: "has lost the lease" in holder.log, "it knows")
        on.wait_risen()
        assert on.connections() == taken_over, "it has not connected again"
        assert on.simulator.log(what="rule") == asked, "nor asked X for anything"
        assert on.simulator.changes("x") == ["connected", "ended ended by the account", "connected"]
        due = tracking.due(on.simulator, on.settings, "flood") - missed_ids(on)
        gaps = until(lambda: tracking.gaps(on.settings), "a gap")
        inside = {
            one["id"]
            for gap in gaps
            for one in on.simulator.log(what="post")
            if gap.since / 1000 - 1 <= one["at"] < gap.until / 1000 + 1
        }
        until(lambda: due - inside <= tracking.stored(on.settings, "flood"), "all but the gap is stored, once each")
        on.check_counted()
        first, second = tracking.ledger(on.settings)[0]
        assert first.generation < second.generation
        assert written <= first.until <= frozen * 1000, "what lay in its socket when it thawed is not counted as heard"
        until(lambda: tracking.gaps(on.settings)[-1].why == STOPPED, "it has said why, late")
        gap = tracking.gaps(on.settings)[-1]
        assert (gap.since, gap.until, len(gap.reasons)) == (first.until, second.since, 1)


@scenarios.add
def what_lay_in_the_socket_of_a_tracker_that_thaws_at_once_is_not_counted_as_heard(stack: Stack) -> None:
    """The other has just ended its connection. It thaws before that would have been given up as silent."""
    with ground(stack) as on:
        on.push(RATE * 30)
        tracking.wait_risen(on.simulator, RATE * 5)
        holder, before = on.holder(), on.connections()
        holder.freeze()
        frozen = time.time()
        on.wait_connected_anew(before)
        holder.thaw()
        until(lambda: tracking.ledger(on.settings)[0][0].ended, "it has said that it has stopped")
        on.wait_risen()
        due = tracking.due(on.simulator, on.settings, "flood")
        first, second = tracking.ledger(on.settings)[0]
        assert first.until / 1000 <= frozen
        (gap,) = tracking.gaps(on.settings)
        assert (gap.since, gap.until) == (first.until, second.since)
        on.wait_stored(due, gap)


class Unlucky(Lease):
    """A member of the group that fails when it is told to."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.fail = asyncio.Event()
        self.left: list[bool] = []  # each time that it was out: whether it was sure

    async def _leave(self) -> None:
        await super()._leave()
        self.left.append(self.sure)

    async def _poll(self, consumer: object) -> None:
        polling = asyncio.ensure_future(super()._poll(consumer))
        failing = asyncio.ensure_future(self.fail.wait())
        try:
            await asyncio.wait([polling, failing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            polling.cancel()
            failing.cancel()
        self.fail.clear()
        raise KafkaError


async def come_true(truth: Callable[[], bool], never: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not truth():
            assert not never()
            await asyncio.sleep(0.005)


@scenarios.add
def a_member_that_fails_is_not_sure_of_the_lease_while_it_is_out(stack: Stack) -> None:
    async def work(settings: Settings) -> None:
        first, second = Unlucky(settings), Lease(settings)
        async with first:
            await come_true(lambda: first.sure, lambda: False)
            async with second:
                await come_true(lambda: second.in_touch, lambda: second.sure)
                first.fail.set()
                await come_true(lambda: bool(first.left), lambda: first.sure and second.sure)
                assert first.left == [False]
                await come_true(lambda: first.sure or second.sure, lambda: first.sure and second.sure)

    with place(stack) as settings:
        asyncio.run(work(settings))


def at_id(number: int) -> str:
    return str(builders.snowflake(sequence=number))


def heard_by(generation: int, at: int, *numbers: int) -> Raw:
    """A record as the tracker with that generation of the lease sends it."""
    posts = b"\n".join(
        builders.line(builders.status(f"rotwasser {number}", id_str=at_id(number))) for number in numbers
    )
    headers = [*raw_headers("x", "v1", at, "live"), ("generation", str(generation).encode())]
    return Raw(posts, 0, None, headers)


@scenarios.add
def what_the_holder_before_sends_late_is_stored_and_counted_once(stack: Stack) -> None:
    with chain(stack, "manager", "worker") as running:
        events.accepted(running.settings, events.create("flood", keywords=("rotwasser",)))
        now = int(time.time() * 1000)
        running.send(heard_by(3, now - 60_000, 1, 2))
        running.send(heard_by(4, now, 3, 4, 5))
        running.settle()
        running.send(heard_by(3, now - 30_000, 4, 5, 6), heard_by(4, now + 1, 6, 7))
        running.settle()
        stored = tracking.stored(running.settings, "flood")
        assert stored == {at_id(number) for number in range(1, 8)}
        assert running.counted() == {"flood": 7}
        running.check_calm()


@scenarios.add
def what_another_tracker_had_on_disk_and_the_cursor_brings_too_is_counted_once(stack: Stack) -> None:
    """Both send it at once, and each comes to some posts first."""
    with chain(stack, "manager", "worker") as running:
        events.accepted(running.settings, events.create("flood", keywords=("rotwasser",)))
        now = int(time.time() * 1000)
        began = now - 10 * OVERLAP_MS
        cut_off = began - OVERLAP_MS
        old = Interval(source="x", connection="a", opened=cut_off, since=cut_off, until=cut_off, generation=3)
        new = Interval(
            source="x", connection="b", opened=began, since=cut_off, until=cut_off, generation=4, behind=True
        )
        entries = [Raw(msgspec.json.encode(one), None, one.key.encode(), ()) for one in (old, new)]
        topics.send(running.settings, entries, COVERAGE)
        running.send(heard_by(3, cut_off, 1, 2))
        running.settle()
        running.send(heard_by(4, now - 1, 1, 2, 3, 4))
        running.settle()
        running.send(heard_by(3, cut_off + 1, 3, 4, 5))
        running.settle()
        assert tracking.stored(running.settings, "flood") == {at_id(number) for number in range(1, 6)}
        assert running.counted() == {"flood": 5}
        running.check_calm()


@scenarios.add
def a_tracker_that_every_source_refuses_leaves_the_lease_to_one_with_a_better_token(stack: Stack) -> None:
    with ground(stack, trackers=0) as on:
        wrong = on.settings.model_copy(update={"x_bearer_token": SecretStr("wrong"), "spool_dir": mkdtemp()})
        with worker(wrong, "tracker") as bad:
            bad.wait_ready()
            events.accepted(on.settings, events.create("flood", keywords=("rotwasser",)))
            until(lambda: tracking.state(on.settings) == "refused", "it is refused")
            with worker(on.settings, "tracker") as good:
                on.trackers = [bad, good]
                good.wait_ready()
                on.simulator.wait_connected(seconds=90)
                assert on.holder() is good
                assert good.term() == 0
                until(
                    lambda: '"lease":true' in bad.get("/sources")[1].replace(" ", ""), "the other is better than none"
                )
                assert "has lost the lease" in bad.log
                good.restart()
                on.simulator.wait_connected(seconds=90)
                on.push(RATE)
                on.wait_risen()
                due = tracking.due(on.simulator, on.settings, "flood")
                assert due
                until(lambda: tracking.stored(on.settings, "flood") == due, "all are stored")
                assert on.holder() is good


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
