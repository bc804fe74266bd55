"""What is told of a process that comes to no end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from app.standstill import whereabouts


class Slow:
    async def stop(self) -> None:
        await asyncio.Event().wait()


async def work() -> AsyncIterator[int]:
    await asyncio.sleep(60)
    yield 1


async def each() -> None:
    async for _ in work():
        pass


async def test_each_task_is_told_from_its_coroutine_inwards_those_that_stop_last() -> None:
    tasks = [asyncio.create_task(waits) for waits in (Slow().stop(), each())]
    await asyncio.sleep(0)
    main, *told = whereabouts([asyncio.get_running_loop()])
    assert main.startswith("the main thread in ")
    assert told[-1].startswith("Slow.stop:")
    assert " > Event.wait:" in told[-1]
    (working,) = [one for one in told if "each:" in one]
    assert " > work:" in working
    assert " > sleep:" in working
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_another_thread_can_ask() -> None:
    _, *told = await asyncio.to_thread(whereabouts, [asyncio.get_running_loop()])
    assert any("test_another_thread_can_ask" in one for one in told)
