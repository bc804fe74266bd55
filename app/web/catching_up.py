"""What is decided on is read to its end before: where that fails nothing was sent, and it can be said."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.errors import KafkaError

from app.clients.view import View
from app.errors import NotDone, Unavailable


async def caught_up(view: View[Any], seconds: float) -> None:
    """Return once the view has all that is written. Raises Unavailable."""
    try:
        async with asyncio.timeout(seconds):
            await view.catch_up()
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"Kafka does not answer ({type(error).__name__})") from None


async def caught_up_first(view: View[Any], seconds: float) -> None:
    """The same, before anything is written. Raises NotDone."""
    try:
        await caught_up(view, seconds)
    except Unavailable as away:
        raise NotDone(f"{away}; nothing was done") from None
