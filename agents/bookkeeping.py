"""Bookkeeping: the ledger of what was heard, from `coverage` to Cassandra, for those who have only the rows later.

By a view and not by an agent: the ledger is small, its newest state is all that counts, and writing it twice is writing
it once. Of the processes that could, the owner of the first partition of `classified_tweets` does it.
"""

from __future__ import annotations

from faust.types import TP

from app.clients.cassandra import Writer
from app.clients.view import View
from app.domain.coverage import Entry, SourceStatus
from app.faustapp import App
from app.settings import Settings
from app.topics import CLASSIFIED, full_name

INTERVAL = 2.0


def add_bookkeeping(app: App, settings: Settings, ledger: View[Entry], writer: Writer) -> None:
    """Give the app its timer."""
    mark = TP(full_name(CLASSIFIED, settings), 0)
    written: dict[str, Entry] = {}

    @app.timer(INTERVAL)
    async def bookkeeping() -> None:
        """Store each entry that has changed, but not how a source is now."""
        if not app.may_work.is_set() or app.rebalancing or not ledger.complete or writer.waiting:
            return
        if mark not in app.consumer.assignment():
            written.clear()
            return
        changed = {key: one for key, one in ledger.items.items() if written.get(key) is not one}
        await writer.write_coverage([one for one in changed.values() if not isinstance(one, SourceStatus)])
        written.update(changed)
