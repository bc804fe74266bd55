"""When what is observed becomes a notice: a condition once it has lasted, its end once it has stayed away for a while.

So what flaps is told of once. What was told stands in the notices themselves; in memory is only what has not become one
yet, and a new owner's memory fills within `SEEN_MS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from app.domain.conditions import Condition
from app.domain.notices import Entry, Mute, Notice

# After Kafka was away, or this process stood still, the views may show for a moment what is past: a condition, and the
# end of one, must be seen for as long, in looks that follow each other closely.
SEEN_MS = 10_000
_CLOSE_MS = 8_000

Over = Callable[[Notice, int], tuple[str, str]]  # a notice and when its condition was over; title and text of that


class Noting:
    """Looks again and again; gives what is to be written, in order."""

    def __init__(self, calm: int) -> None:
        self._calm = max(SEEN_MS, calm)  # ms that a condition must stay away until it is over
        self._looked = 0
        self._seen: dict[str, tuple[int, int]] = {}  # condition -> when it was seen first, since when it is so
        self._gone: dict[str, int] = {}  # condition of a standing notice -> since when it is not seen

    def look(
        self,
        items: Mapping[str, Entry],
        happened: Iterable[Notice],
        conditions: Iterable[Condition],
        over: Over,
        now: int,
    ) -> list[Notice]:
        """What has become a notice by now (ms), or is one no longer."""
        if now - self._looked > _CLOSE_MS:
            self._seen.clear()
            self._gone.clear()
        self._looked = now
        standing = {one.condition: one for one in items.values() if isinstance(one, Notice) and one.stands}
        there = {condition.key: condition for condition in conditions}
        found = [one for one in happened if one.id not in items]
        begun = [self._begun(condition, now) for condition in there.values() if condition.key not in standing]
        found += [one for one in begun if one is not None]
        for key in self._seen.keys() - there.keys():
            del self._seen[key]
        for key, notice in standing.items():
            found += self._over(notice, items, over, now) if key not in there else self._goes_on(key)
        return found

    def _begun(self, condition: Condition, now: int) -> Notice | None:
        first, since = self._seen.setdefault(condition.key, (now, condition.since))
        if now - first < SEEN_MS or now - since < condition.patience:
            return None
        return Notice(
            id=f"{condition.key.replace('|', ':')}:{since}",
            kind=condition.kind,
            phase="begun",
            at=now,
            since=since,
            title=condition.title,
            text=condition.text,
            source=condition.source,
            events=condition.events,
            condition=condition.key,
        )

    def _goes_on(self, key: str) -> list[Notice]:
        self._gone.pop(key, None)
        return []

    def _over(self, begun: Notice, items: Mapping[str, Entry], over: Over, now: int) -> list[Notice]:
        since = self._gone.setdefault(begun.condition, now)
        if now - since < self._calm:
            return []
        del self._gone[begun.condition]
        ended = msgspec.structs.replace(begun, over=since)
        title, text = over(begun, since)
        if not title or f"{begun.id}:over" in items:
            return [ended]
        end = Notice(
            id=f"{begun.id}:over",
            kind=begun.kind,
            phase="over",
            at=now,
            since=since,
            title=title,
            text=text,
            source=begun.source,
            events=begun.events,
            # Who was not told that it began need not be told that it is over.
            due=begun.due,
            muted=begun.muted,
        )
        # In this order: of two writes of which a kill leaves one, the notice that stands is looked at again.
        return [end, ended]


def addressed(notices: Iterable[Notice], receivers: Iterable[str], mutes: Iterable[Mute], now: int) -> list[Notice]:
    """The notices with those who are to be told: nobody of what is muted now."""
    receivers, mutes = tuple(receivers), list(mutes)
    moment = datetime.fromtimestamp(now / 1000, UTC)
    found = []
    for notice in notices:
        if notice.over is not None:
            found.append(notice)
            continue
        mute = next((one for one in mutes if one.covers(notice.kind, notice.events, moment)), None)
        due = receivers if notice.phase != "over" else tuple(name for name in notice.due if name in receivers)
        if mute is not None:
            found.append(msgspec.structs.replace(notice, due=(), muted=mute.id))
        else:
            found.append(msgspec.structs.replace(notice, due=due))
    return found
