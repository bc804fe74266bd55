"""What is asked about stored posts that their source may have taken back, or has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from app.clients.cassandra import ms_of, session
from app.clients.stored import Stored
from app.domain.retracting import Retraction
from app.settings import Settings


def write_ids(settings: Settings, codes: Iterable[str], file: Path) -> int:
    """Write the ids of posts of these events, one a line; how many. Blocks. Raises Unavailable, OSError.

    Those of other sources are no numbers. A post of several events is written several times.
    """
    count = 0
    with session(settings) as connected, file.open("w") as out:
        for code in codes:
            stored = Stored(settings, connected, code)
            for bucket in stored.buckets():
                for page in stored.pages(bucket.name, ("t_id",)):
                    ids = [post_id for (post_id,) in page if post_id.isascii() and post_id.isdigit()]
                    out.writelines(f"{post_id}\n" for post_id in ids)
                    count += len(ids)
    return count


def told_before(settings: Settings, code: str) -> list[Retraction]:
    """What sources have told of posts of an event of which anything is left. Blocks. Raises Unavailable."""
    with session(settings) as connected:
        stored = Stored(settings, connected, code)
        return [
            Retraction(kind=kind, at=ms_of(told_at), post=post_id, why=why or "", event=code)  # type: ignore[arg-type]
            for bucket in stored.buckets()
            for post_id, fate, kind, why, told_at in stored.taken_back(bucket.name)
            if fate != "removed"
        ]
