"""Removes all rows of an event, its index, and what people have written to its posts."""

from __future__ import annotations

import logging

import stamina
from cassandra import InvalidRequest, Unauthorized

from app.clients.cassandra import TRANSIENT, session
from app.errors import Unavailable
from app.schema import BY_BUCKET, BY_EVENT, EVENT_BUCKET
from app.settings import Settings

log = logging.getLogger(__name__)


@stamina.retry(on=(Unavailable, *TRANSIENT), attempts=None, timeout=None, wait_max=10)
def purge_rows(settings: Settings, code: str, until_us: int, *, and_list: bool = False) -> None:
    """Delete every partition of the event, and their list if told; blocks, and tries until it is done. Repeatable.

    Only what was written up to `until_us`, microseconds since 1970: by the time that Cassandra answers, the event may
    have been purged by another manager, and created anew.
    """
    try:
        _purge(settings, code, until_us, and_list=and_list)
    except (InvalidRequest, Unauthorized) as refused:
        log.warning("Cassandra refuses a purge; trying again", extra={"code": code, "why": str(refused)})
        raise Unavailable(f"Cassandra refuses to purge {code} ({refused})") from None


def _purge(settings: Settings, code: str, until_us: int, *, and_list: bool) -> None:
    keyspace = settings.keyspace
    with session(settings) as cassandra:
        find = cassandra.prepare(f"SELECT bucket FROM {keyspace}.{EVENT_BUCKET} WHERE event_name = ?")  # noqa: S608
        for (bucket,) in list(cassandra.execute(find, [code])):
            for table in BY_BUCKET:
                cassandra.execute(
                    f"DELETE FROM {keyspace}.{table} USING TIMESTAMP {until_us:d} "  # noqa: S608
                    "WHERE event_name = %s AND bucket = %s",
                    [code, bucket],
                )
        for table in BY_EVENT if and_list else ():
            cassandra.execute(
                f"DELETE FROM {keyspace}.{table} USING TIMESTAMP {until_us:d} WHERE event_name = %s",  # noqa: S608
                [code],
            )
