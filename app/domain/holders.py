"""Who has listened to a source, one after the other: what they send around a hand-over may be sent by both.

A holder of the lease that was stopped for a while (SIGSTOP, a frozen machine) sends what its Kafka client had in hand
once it goes on, when another holder has long heard the same posts again. Only posts of around a hand-over are in
question; whether one stands already is then looked up by its id, as the other may not have heard it.

So it is with what lies on the disk of a holder that was killed, or cut off from Kafka: a new one that resumes by a
cursor hears it again, and while it catches up, each of the two may come to a post first.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.coverage import Entry, Interval, Outage

# A new holder hears the past at once, by cursor or backfill: longer than that takes, posts of the holder before it can
# come first.
OVERLAP_MS = 60_000


class _Holder(Struct):
    generation: int
    since: int  # when it began, in milliseconds since 1970
    newest: int  # the beginning of its newest entry
    first: bool  # nobody is known to have listened before it
    past: int = 0  # when its last connection was opened that is known
    through: int | None = 0  # until when one delivered its past; None: it does still

    def follow(self, interval: Interval) -> None:
        """Take note of how far a connection is with the past that it delivers first."""
        if interval.opened > self.past:
            self.past = interval.opened
            if interval.behind:
                self.through = None
            elif interval.since < interval.opened:  # it was through before anybody has looked
                self.through = interval.until
            elif self.through is None:
                self.through = interval.opened
        elif interval.opened == self.past and self.through is None and not interval.behind:
            self.through = interval.until


class Holders:
    """The newest holder by source, as the ledger's entries tell."""

    def __init__(self) -> None:
        self._newest: dict[str, _Holder] = {}

    def note(self, entry: Entry) -> None:
        """Take note of an entry of the ledger.

        The newest is who began last, not the greatest generation: these begin anew where Kafka has forgotten the group.
        """
        if not isinstance(entry, (Interval, Outage)) or not entry.generation:
            return
        holder = self._saw(entry.source, entry.generation, entry.opened if isinstance(entry, Interval) else entry.since)
        if isinstance(entry, Interval) and holder.generation == entry.generation:
            holder.follow(entry)

    def in_question(self, source: str, generation: int, received_at: int) -> bool:
        """Whether another holder may have sent a post too that this one received then; 0: no tracker has sent it.

        Of a new holder a post may tell before the ledger does.
        """
        if not generation:
            return False
        known = self._newest.get(source)
        if known is None or (generation != known.generation and received_at >= known.newest):
            known = self._saw(source, generation, received_at)
        if generation == known.generation:
            overlap = known.through is None or received_at < max(known.since, known.through) + OVERLAP_MS
            return overlap and not known.first
        return True

    def _saw(self, source: str, generation: int, at: int) -> _Holder:
        known = self._newest.get(source)
        if known is None:
            known = self._newest[source] = _Holder(generation, at, at, first=True)
        elif generation == known.generation:
            known.newest = max(known.newest, at)
            known.since = min(known.since, at)
        elif at >= known.newest:
            known = self._newest[source] = _Holder(generation, at, at, first=False)
        elif at < known.since:
            known.first = False
        return known
