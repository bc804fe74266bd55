"""What events look for, as the form fields of v1.1 `statuses/filter`: `track`, `follow` and `locations`.

`track` finds words in a post's text, links, hashtags and mentions, all words of a phrase in any order (quotes mean
nothing to it, so it hands over more than an exact phrase); `follow` takes ids only, and finds posts by an account,
retweets of it and replies to it; a place that overlaps a location is enough. It has no languages of an event alone:
our matcher restricts.

What it cannot deliver: a word of a script without blanks inside a longer run of letters, and accounts by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest

from msgspec import Struct

from app.domain.events import Event
from app.domain.keywords import parse_keyword

MOST_TRACK = 400
MOST_TRACK_BYTES = 60
MOST_FOLLOW = 5000
MOST_LOCATIONS = 25


class Form(Struct, frozen=True):
    """The form fields; what is empty is not sent."""

    track: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.track or self.follow or self.locations)

    @property
    def fields(self) -> dict[str, str]:
        """As they are posted."""
        named = {"track": self.track, "follow": self.follow, "locations": self.locations}
        return {name: ",".join(values) for name, values in named.items() if values}


def form_of(events: Sequence[Event]) -> tuple[Form, dict[str, tuple[str, ...]]]:
    """The form for all events; and by event code what is not asked for, with the reason.

    Where there are more selectors than v1.1 takes, events take turns, in the order of their codes.
    """
    refused: dict[str, list[str]] = {}
    ordered = sorted(events, key=lambda event: event.code)
    fields = (
        _chosen(ordered, lambda event: event.keywords, _track, MOST_TRACK, refused),
        _chosen(ordered, _accounts, _follow, MOST_FOLLOW, refused),
        _chosen(ordered, _boxes, _location, MOST_LOCATIONS, refused),
    )
    return Form(*fields), {code: tuple(reasons) for code, reasons in refused.items()}


def _chosen(
    events: Sequence[Event],
    selectors_of: Callable[[Event], Iterable[str]],
    ask: Callable[[str], list[str]],
    most: int,
    refused: dict[str, list[str]],
) -> tuple[str, ...]:
    """Values of one field: the first selector of each event, then the second of each, … as long as they fit."""
    chosen: dict[str, None] = {}
    for row in zip_longest(*[[(event.code, selector) for selector in selectors_of(event)] for event in events]):
        for code, selector in filter(None, row):
            try:
                values = ask(selector)
                if len(chosen.keys() | values) > most:
                    raise ValueError(f"v1.1 takes {most} at once, for all events together")  # noqa: TRY301
            except ValueError as why:
                refused.setdefault(code, []).append(f"{selector}: {why}")
            else:
                chosen |= dict.fromkeys(values)
    return tuple(chosen)


def _track(keyword: str) -> list[str]:
    phrase = " ".join(word for term in parse_keyword(keyword).terms for word in term.words)
    if len(phrase.encode()) > MOST_TRACK_BYTES:
        raise ValueError(f"v1.1 takes keywords of {MOST_TRACK_BYTES} bytes")
    return [phrase]


def _accounts(event: Event) -> list[str]:
    return [f"from:{account}" for account in event.accounts]


def _follow(selector: str) -> list[str]:
    account = selector.removeprefix("from:")
    if not (account.isascii() and account.isdigit()):
        raise ValueError("v1.1 takes accounts by id only")
    return [account]


def _boxes(event: Event) -> list[str]:
    return ["box:" + ",".join(f"{edge:.9g}" for edge in box) for box in event.boxes]


def _location(selector: str) -> list[str]:
    west, south, east, north = selector.removeprefix("box:").split(",")
    if float(west) > float(east):
        return [f"{west},{south},180,{north}", f"-180,{south},{east},{north}"]
    return [f"{west},{south},{east},{north}"]
