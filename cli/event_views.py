"""How events and their history look on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.text import Text

from app.domain.events import Change, Definition, Event, box_text
from app.domain.tracked import Tracked
from cli.terminal import cell, moment, print_pairs, print_table

_STYLES = {"active": "green", "paused": "yellow", "scheduled": "cyan", "deleted": "red", "purging": "red"}
_SHORT = 100  # characters of a list in a table
_LONG = 20  # items of a list in full


def without_history(event: Event) -> dict[str, Any]:
    """An event for `list --json`."""
    plain: dict[str, Any] = msgspec.to_builtins(event)
    del plain["history"]
    return plain


def print_events(events: Iterable[Event]) -> None:
    """Print a line an event."""
    print_table(
        ("code", "status", "version", "selects", "languages"),
        (
            (
                cell(event.code),
                _status(event),
                cell(str(event.version)),
                cell(_selects(event)),
                cell(_short(event.languages)),
            )
            for event in events
        ),
    )


def print_event(event: Event, rematch: Iterable[str], refused: Iterable[str], *, everything: bool) -> None:
    """Print all that is known of an event but its history, with lines about its rematch and what sources refuse.

    Of long lists only what they begin with, unless `everything` is wanted.
    """
    most = sys.maxsize if everything else _LONG
    last = event.history[-1] if event.history else None
    pairs = [
        ("code", cell(event.code)),
        ("name", cell(event.name)),
        ("status", _status(event)),
        ("keywords", cell(_first(event.keywords, most))),
        ("accounts", cell(_first([f"@{account}" for account in event.accounts], most))),
        ("boxes", cell("  ".join(box_text(box) for box in event.boxes))),
        ("languages", cell(", ".join(event.languages))),
        ("start", cell(moment(event.start))),
        ("end", cell(moment(event.end))),
        ("deletions", cell(event.deletions)),
        ("hot", cell("yes" if event.hot else "")),
        ("owners", cell(", ".join(event.owners))),
        ("version", cell(f"{event.version}" + (f", {moment(last.at)} by {last.who}" if last else ""))),
    ]
    pairs += [("rematch" if number == 0 else "", cell(line)) for number, line in enumerate(rematch)]
    pairs += [("refused" if number == 0 else "", cell(line)) for number, line in enumerate(refused)]
    print_pairs((name, value) for name, value in pairs if value.plain)


def print_history(changes: Iterable[Change]) -> None:
    """Print a line a change, and one a field that it changed."""
    print_table(
        ("version", "when", "who", "what", "why"),
        (
            (cell(str(change.version)), cell(moment(change.at)), cell(change.who), _what(change), cell(change.why))
            for change in changes
        ),
    )


def print_then(then: Tracked) -> None:
    """Print how an event stood."""
    until = f" to {moment(then.until)}" if then.until else " until now"
    pairs = [
        ("status", cell(then.status, _STYLES.get(then.status, ""))),
        ("name", cell(then.name)),
        ("keywords", cell(", ".join(then.keywords))),
        ("accounts", cell(", ".join(f"@{account}" for account in then.accounts))),
        ("boxes", cell("  ".join(box_text(box) for box in then.boxes))),
        ("languages", cell(", ".join(then.languages))),
        ("version", cell(f"{then.version}, by {then.by}, from {moment(then.since)}{until}")),
        (
            "",
            cell("" if then.whole else "so much was changed later that not all of it is known: this may not be exact"),
        ),
    ]
    print_pairs((name, value) for name, value in pairs if value.plain)


def both_versions(wish: Definition, stands: Event) -> str:
    """Of an edit that came too late: how the fields stand that it would change, and how they were to be."""
    told = [
        f"; its {name} {_listed(now)}, yours {_listed(wanted)}"
        for name, wanted in wish.given().items()
        if (now := getattr(stands, name)) != wanted
    ]
    return "".join(told)


def _listed(value: object) -> str:
    if isinstance(value, list | tuple):
        return _short(f"{_value(item)}" for item in value) or "none"
    return _value(value)


def _status(event: Event) -> Text:
    return cell(event.status, _STYLES.get(event.status, ""))


def _selects(event: Event) -> str:
    boxes = [f"box {box_text(box)}" for box in event.boxes]
    return _short((*event.keywords, *(f"@{account}" for account in event.accounts), *boxes))


def _short(items: Iterable[str]) -> str:
    items = list(items)
    text = ", ".join(items)
    if len(text) <= _SHORT:
        return text
    return f"{text[:_SHORT]}… ({len(items)} in all)"


def _first(items: Sequence[str], most: int) -> str:
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more:,} more (--all, or --json)" if more > 0 else "")


def _what(change: Change) -> Text:
    lines = [change.action]
    for field, (before, after) in change.changed.items():
        lines += _difference(field, before, after)
    return Text("\n").join(cell(line) for line in lines)


def _difference(field: str, before: object, after: object) -> list[str]:
    """Of lists what went and what came; of single values from and to."""
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        gone = [f"{field} - {_value(item)}" for item in before if item not in after]
        return gone + [f"{field} + {_value(item)}" for item in after if item not in before]
    return [f"{field}: {_value(before)} → {_value(after)}"]


def _value(value: object) -> str:
    if value is None:
        return "none"
    return box_text(value) if isinstance(value, list | tuple) else str(value)
