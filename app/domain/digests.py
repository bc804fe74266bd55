"""Which notices go to a receiver in one message, when, and how a message reads.

The first notice after a calm time goes at once; what comes within the window after it waits, and goes together. A
receiver with a time of day gets one message a day.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta

from msgspec import Struct

from app.domain.notices import Entry, Message, Notice, messages_of, notices_of

# What happens at one moment, as when the manager starts ten events, is to go together.
LINGER_MS = 2_000
# So long a message is tried again: with a receiver that is away, and with one that does not want it.
AWAY_MS = 24 * 3_600_000
REFUSED_MS = 3_600_000
MOST = 1000  # notices of a message
LISTED = 100  # of them, each in full; the others are counted
_TITLE = 150  # characters of a subject
_JOINERS = "\u200c\u200d"


class Rhythm(Struct, frozen=True):
    """When a receiver is told."""

    window: int  # ms
    daily: time | None = None  # UTC; None: as it comes


class Letter(Struct, frozen=True, kw_only=True):
    """A message as it is sent, by whatever way."""

    id: str
    at: int  # ms since 1970
    subject: str  # one line, nothing in it that is not seen
    text: str
    listed: tuple[Notice, ...]
    more: int = 0  # notices that are not listed


def is_hopeless(message: Message, now: int, *, refused: bool) -> bool:
    """Whether a message that was not taken is to be given up, so that others come to their turn."""
    return now - message.at > (REFUSED_MS if refused else AWAY_MS)


def waiting(items: Mapping[str, Entry], receiver: str) -> Message | None:
    """The message that is on its way to a receiver, the oldest where there are several."""
    found = [one for one in messages_of(items.values(), receiver) if one.outcome == "waiting"]
    return min(found, key=lambda one: (one.at, one.id), default=None)


def pending(items: Mapping[str, Entry], receiver: str) -> list[Notice]:
    """The notices that a receiver is to be told of and that are in no message yet, the oldest first."""
    sent = {notice for message in messages_of(items.values(), receiver) for notice in message.notices}
    return [one for one in reversed(notices_of(items.values())) if receiver in one.due and one.id not in sent]


def next_message(items: Mapping[str, Entry], receiver: str, rhythm: Rhythm, now: int) -> Message | None:
    """The message that is to be made for a receiver now; None while there is nothing to tell, or it waits."""
    told = pending(items, receiver)
    if rhythm.daily is not None:
        hour = _last(rhythm.daily, now)
        told = [notice for notice in told if notice.at < hour]
    elif told and now < told[0].at + LINGER_MS:
        return None
    before = max((one.at for one in messages_of(items.values(), receiver)), default=0)
    if not told or (rhythm.daily is None and now < before + rhythm.window):
        return None
    ids = tuple(notice.id for notice in told[:MOST])
    mark = hashlib.blake2b("\n".join((receiver, *ids)).encode(), digest_size=16).hexdigest()
    return Message(id=mark, receiver=receiver, at=now, notices=ids)


def _last(daily: time, now: int) -> int:
    moment = datetime.fromtimestamp(now / 1000, UTC)
    hour = moment.replace(hour=daily.hour, minute=daily.minute, second=0, microsecond=0)
    return int((hour if hour <= moment else hour - timedelta(days=1)).timestamp() * 1000)


def letter(message: Message, items: Mapping[str, Entry]) -> Letter:
    """The message as it reads; the same whenever it is asked for. What was forgotten meanwhile is left out."""
    found = [one for name in message.notices if isinstance(one := items.get(name), Notice)]
    return compose(message.id, message.at, found)


def compose(name: str, at: int, notices: Iterable[Notice]) -> Letter:
    """A letter of some notices, in their order."""
    found = list(notices)
    listed = tuple(found[:LISTED])
    more = len(found) - len(listed)
    if len(found) == 1:
        subject = found[0].title
    else:
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(one.kind for one in found).most_common())
        subject = f"{len(found)} notices: {kinds}"
    text = "\n\n".join(paragraph(notice) for notice in listed) + (f"\n\n… and {more:,} more." if more else "")
    return Letter(
        id=name, at=at, subject=f"[Starling] {one_line(subject)[:_TITLE]}", text=text, listed=listed, more=more
    )


def paragraph(notice: Notice) -> str:
    """A notice for a person."""
    lines = (visible(line) for line in notice.text.splitlines())
    return "\n".join((f"{_moment(notice.since)}  {one_line(notice.title)}", *(f"    {line}" for line in lines)))


def one_line(text: str) -> str:
    """The text without anything that ends a line, turns it around or is not seen."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    """The text without characters that are not seen, but those that are parts of words and emoji."""
    if text.isprintable():
        return text
    return "".join(
        char for char in text if char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs"
    )


def _moment(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
