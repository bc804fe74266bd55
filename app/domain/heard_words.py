"""How an event was heard, in a sentence: for the CLI and for plots. `heard_plain` says what is in these dicts."""

from __future__ import annotations

from typing import Any


def sentence(heard: dict[str, Any]) -> str:
    """How an event was heard by a source."""
    count = len(heard["gaps"])
    gaps = "no gap" if not count else f"{count} gap" + "s" * (count > 1)
    partly, withheld = heard["partly_seconds"], heard["withheld"]
    part = f" (in {_percent_at_least(partly / heard['heard_seconds'])} of it only in part)" if partly else ""
    kept = f", ~{withheld:,} posts withheld by the source" if withheld else ""
    of = "posts" if heard["posts_are_of_the_event"] else "posts of all events"
    return (
        f"{heard['source']}: {percent(heard['share'])} of the time heard{part}, {gaps}{kept}; {heard['posts']:,} {of}"
    )


def balance_sentence(posts: dict[str, int]) -> str:
    """What came, what of it stands, and what was removed since its source took it back."""
    collected, stored, removed = posts["collected"], posts["stored"], posts["removed"]
    return f"{collected:,} posts collected: {stored:,} stored, {removed:,} removed as their sources took them back"


def joint_sentence(joint: dict[str, Any]) -> str:
    """How an event was heard by all sources together."""
    return f"all sources: {percent(joint['share'])} of the time heard by at least one"


def percent(share: float) -> str:
    """One decimal, and never 100 % where something is missing."""
    return "100 %" if share == 1 else f"{min(int(share * 1000) / 10, 99.9):g} %"


def _percent_at_least(share: float) -> str:
    """One decimal, and never 0 % of what there is."""
    return f"{max(round(share * 100, 1), 0.1):g} %"
