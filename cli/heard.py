"""What a plot says of how complete an event's posts are, asked of whom commands ask: for `analyze` and notebooks."""

from __future__ import annotations

from datetime import UTC, datetime

from analysis.caveats import Caveat, caveat, unknown
from app.domain.heard import to_ms
from app.errors import Unavailable, UserError
from cli.service import service


async def caveat_of(code: str, since: datetime | None = None, until: datetime | None = None) -> Caveat:
    """Of an event in a period (UTC if without a zone). Where nobody knows it says why, and raises nothing."""
    now = datetime.now(UTC)
    begin, end = (at and (at if at.tzinfo else at.replace(tzinfo=UTC)) for at in (since, until))
    span = (to_ms(begin) if begin else 0, to_ms(end or now)) if begin or end else None
    try:
        return caveat(await service().coverage(code, span), now)
    except (UserError, Unavailable) as away:
        return unknown(str(away))
