"""How far a Spark is with what it was asked for, by its own status tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from msgspec import Struct
from py4j.protocol import Py4JError
from pyspark import SparkContext

_EVERY = 0.25  # seconds
_LAST_LOOK = 10.0  # seconds at most that a look may take when all is over


class Progress(Struct, frozen=True):
    """Stages and tasks that are done, of those that Spark knows of by now: a job that comes later brings its own."""

    stages: int
    stages_all: int
    tasks: int
    tasks_all: int


@contextmanager
def watched(context: SparkContext, tell: Callable[[Progress], None]) -> Iterator[None]:
    """Tell, in another thread, how far it is, as long as the block lasts and once more when it ends well."""
    watch, over = Watch(context), Event()

    def look() -> None:
        with suppress(Py4JError, OSError):  # Spark has ended: whoever uses it is told why
            while not over.wait(_EVERY):
                tell(watch.look())

    looking = Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join(_LAST_LOOK)
    tell(watch.look())


class Watch:
    """Counts over all jobs from its making on; each look asks only for those that had not ended."""

    def __init__(self, context: SparkContext) -> None:
        self._tracker = context.statusTracker()
        self._ended = dict.fromkeys(self._tracker.getJobIdsForGroup(), Progress(0, 0, 0, 0))

    def look(self) -> Progress:
        """As it is now."""
        known = {*self._ended, *self._tracker.getJobIdsForGroup()}  # Spark forgets the oldest
        found = [self._ended.get(job) or self._of(job) for job in known]
        return Progress(
            sum(one.stages for one in found),
            sum(one.stages_all for one in found),
            sum(one.tasks for one in found),
            sum(one.tasks_all for one in found),
        )

    def _of(self, job: int) -> Progress:
        told = self._tracker.getJobInfo(job)
        if told is None:  # not yet in Spark's store
            return Progress(0, 0, 0, 0)
        stages = [stage for number in told.stageIds if (stage := self._tracker.getStageInfo(number)) is not None]
        tasks, tasks_all = sum(one.numCompletedTasks for one in stages), sum(one.numTasks for one in stages)
        done = sum(one.numCompletedTasks == one.numTasks for one in stages)
        if told.status == "RUNNING":
            return Progress(done, len(told.stageIds), tasks, tasks_all)
        # What a job found ready from one before it was never run.
        return self._ended.setdefault(job, Progress(done, done, tasks, tasks))
