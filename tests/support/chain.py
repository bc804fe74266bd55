"""A running chain of real workers in a place of its own, and the comparison of all that it leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from app.domain.classify import Intake
from app.local.stack import Stack
from app.roles import Role
from app.settings import Settings
from tests.support import events, rows, topics
from tests.support.expected import Expected, differences, expected
from tests.support.place import place
from tests.support.rows import Key, Stored
from tests.support.topics import Raw, Sent
from tests.support.workers import Worker, worker


class Chain:
    """Workers by role. Tests that share a chain use event codes of their own."""

    def __init__(self, settings: Settings, workers: dict[str, Worker]) -> None:
        self.settings = settings
        self.workers = workers
        self._classifier = next(role for role in workers if Role(role).classifies)
        self._normalizer = next(role for role in workers if Role(role).normalizes)

    def send(self, *records: Raw) -> list[tuple[Raw, Sent]]:
        """Send raw records; each with its place."""
        return list(zip(records, topics.send(self.settings, records), strict=True))

    def settle(self, seconds: float = 180) -> None:
        """Return once everything sent is read, written and acknowledged."""
        for role in self.workers:
            topics.wait_drained(self.settings, role, seconds)

    def intake(self) -> Intake:
        """All lines so far."""
        return topics.total(topics.intake(self.settings, self._classifier).values())

    def counted(self) -> Counter[str]:
        """Posts counted by event."""
        counts: Counter[str] = Counter()
        for key, part in topics.activity(self.settings, self._normalizer).items():
            counts[key.partition("|")[0]] += part.posts
        return counts

    def stored(self, codes: Collection[str]) -> dict[Key, Stored]:
        """Rows of some events."""
        return {key: row for key, row in rows.tweets(self.settings).items() if key[0] in codes}

    def check(self, sent: Iterable[tuple[Raw, Sent]], codes: Collection[str]) -> Expected:
        """Compare what stands of some events, and of the dead letters of these records, with what must."""
        sent = list(sent)
        wanted = expected(self.settings, events.events(self.settings), sent)
        wanted.rows = {key: made for key, made in wanted.rows.items() if key[0] in codes}
        stored = self.stored(codes)
        raw = {key: row for key, row in rows.raw_json(self.settings).items() if key[0] in codes}
        wrong = Counter(word for word, _ in differences(wanted, stored, raw))
        assert wrong == {}, wrong
        listed = {entry for entry in rows.buckets(self.settings) if entry[0] in codes}
        in_use = {(code, row["bucket"]) for (code, _), row in stored.items()}
        emptied = {(code, bucket) for (code, _), bucket in wanted.removed.items() if code in codes}
        assert in_use <= listed <= in_use | emptied, "the buckets in use, exactly"
        positions = {f"{at.partition}:{at.offset}" for _, at in sent}
        letters = {
            key: letter
            for key, letter in topics.dead_letters(self.settings).items()
            if ":".join(key.split(":")[1:3]) in positions and ":" in key
        }
        assert letters == wanted.letters, letters.keys() ^ wanted.letters.keys()
        counted = {code: count for code, count in self.counted().items() if code in codes and count}
        due = Counter(code for (code, _), made in wanted.rows.items() for _ in made)
        assert counted == due, f"counted {counted}, due {due}"
        self.check_calm()
        return wanted

    def check_calm(self) -> None:
        """No worker died, failed or warned."""
        for role, started in self.workers.items():
            assert started.alive(), role
            assert started.complaints() == [], role


@contextmanager
def chain(
    stack: Stack, *roles: str, commands: Mapping[str, list[str]] | None = None, **changed: object
) -> Iterator[Chain]:
    """A chain of one worker of each role, ready; `commands` gives those that are started otherwise than as usual."""
    own = commands or {}
    with ExitStack() as opened:
        settings = opened.enter_context(place(stack, **changed))
        workers = {role: opened.enter_context(worker(settings, role, own.get(role))) for role in roles}
        for started in workers.values():
            started.wait_ready()
        yield Chain(settings, workers)
