"""Where it stands how far each order to annotate is: in Cassandra, so that every manager can tell it."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID, uuid1

import msgspec

from app.clients.archive import Archive
from app.domain.annotating import Job, Order
from app.schema import ANNOTATION_JOB

LISTED = 100
_KEPT_SECONDS = 30 * 86_400
_COLUMNS = "id, event_name, who, asked, state, why, posts, at"
_order = msgspec.json.Decoder(Order).decode


def new_id() -> str:
    """Ids ascend with time."""
    return str(uuid1())


async def put_job(archive: Archive, job: Job) -> None:
    """Write how far a job is. Raises Unavailable."""
    await archive.rows(
        f"INSERT INTO {{keyspace}}.{ANNOTATION_JOB} ({_COLUMNS}) "  # noqa: S608 -- constants
        f"VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL {_KEPT_SECONDS}",
        [
            UUID(job.id),
            *(job.code, job.who, msgspec.json.encode(job.order).decode(), job.state, job.why, job.posts, job.at),
        ],
    )


async def jobs_of(archive: Archive, code: str) -> list[Job]:
    """The newest jobs of an event, the newest first. Raises Unavailable."""
    rows = await archive.rows(
        f"SELECT {_COLUMNS} FROM {{keyspace}}.{ANNOTATION_JOB} WHERE event_name = ? LIMIT {LISTED}",  # noqa: S608
        [code],
    )
    return [_job(row) for row in rows]


async def job_of(archive: Archive, code: str, job_id: str) -> Job | None:
    """One job. Raises Unavailable."""
    try:
        wanted = UUID(job_id)
    except ValueError:
        return None
    if wanted.version != 1:
        return None
    rows = await archive.rows(
        f"SELECT {_COLUMNS} FROM {{keyspace}}.{ANNOTATION_JOB} WHERE event_name = ? AND id = ?",  # noqa: S608
        [code, wanted],
    )
    return _job(rows[0]) if rows else None


def _job(row: tuple[object, ...]) -> Job:
    job_id, code, who, asked, state, why, posts, at = row
    return Job(
        id=str(job_id),
        code=code,  # type: ignore[arg-type]
        who=who or "",  # type: ignore[arg-type]
        order=_order(asked),  # type: ignore[arg-type]
        state=state,  # type: ignore[arg-type]
        why=why or "",  # type: ignore[arg-type]
        posts=posts or 0,  # type: ignore[arg-type]
        at=at.replace(tzinfo=UTC),  # type: ignore[attr-defined]
    )
