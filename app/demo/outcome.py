"""How a demo ended: each thing that must agree, and whether it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from app.demo.checks import Check
from app.demo.comparing import Difference, Found
from app.demo.hearing import Live
from app.demo.ledger import Counts, Ledger
from app.demo.letters import Letter
from app.domain.activity import Activity
from app.domain.classify import Intake


class Outcome(Struct, frozen=True):
    """All checks, the first differences between rows, and how fast it was."""

    checks: list[Check]
    differences: list[Difference]
    missing: int
    unexpected: int
    wrong: int
    posts: int
    seconds: float  # from the first post sent to the last one stored
    latency_p50: float | None  # seconds from received_at to the write
    latency_p99: float | None
    live: Live | None = None  # what was heard of the live source

    @property
    def agrees(self) -> bool:
        """Whether all that was planted, and nothing else, is where it belongs."""
        return all(check.agrees for check in self.checks)

    @property
    def rate(self) -> float:
        """Posts a second."""
        return self.posts / self.seconds if self.seconds else 0.0


def outcome(
    ledger: Ledger,
    rows: Found,
    letters: Iterable[Letter],
    intake: Intake,
    activities: dict[str, Activity],
    seconds: float,
    live: Live | None = None,
) -> Outcome:
    """Put together all that was found."""
    latencies = sorted(rows.latencies)
    return Outcome(
        checks=[*_checks(ledger, rows, letters, intake, activities), *(live.checks if live else ())],
        differences=rows.differences,
        missing=rows.missing,
        unexpected=rows.unexpected,
        wrong=rows.wrong,
        posts=ledger.posts,
        seconds=seconds,
        latency_p50=_quantile(latencies, 0.5),
        latency_p99=_quantile(latencies, 0.99),
        live=live,
    )


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _checks(
    ledger: Ledger, rows: Found, letters: Iterable[Letter], intake: Intake, activities: dict[str, Activity]
) -> list[Check]:
    """Each thing that must agree. Rows first: they are what it is all for."""
    letters = list(letters)
    dead = Counter(letter.value for letter in letters)
    control = sum(ledger.control.values()), sum(intake.control.values())
    counted = sum(activity.posts for activity in activities.values())
    return [
        Check("rows in Cassandra", rows.planted, rows.stored, rows.agrees),
        Check(
            "malformed lines → dead letters",
            sum(ledger.malformed.values()),
            len(letters),
            dead == ledger.malformed and all(letter.reason for letter in letters),
        ),
        Check("control messages counted", *control, dict(ledger.control) == intake.control),
        Check("posts read", ledger.posts, intake.posts, ledger.posts == intake.posts),
        Check("posts matched", ledger.matched, intake.matched, ledger.matched == intake.matched),
        Check(
            "posts by event counted",
            ledger.pairs,
            counted,
            all(_counted(counts, activities[code]) for code, counts in ledger.counts.items()),
        ),
    ]


def _counted(due: Counts, found: Activity) -> bool:
    """Whether the counts of an event are those that must be: in all, by keyword, by language and by hour."""
    return (
        due.posts == found.posts
        and due.keywords == found.keywords
        and due.languages == found.languages
        and due.hours == found.hours
    )
