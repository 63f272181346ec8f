"""The calls under way of a client: each ends with its ticket's cancel, and all of them at the end.

Cancelling the task that reads a stream closes its connection, and with it ends the work of a server
that is any good.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from brain.engines.ports import Cancelled, EngineUnavailable, Ticket
from brain.engines.steps import look_at

T = TypeVar("T")

_AGAIN_S = 0.3
"""Before Python 3.12 a cancel may be lost that comes as what is waited for ends: in `wait_for`, and
as a connection is made."""


class Calls:
    """`closed` is what a call is told after the end."""

    def __init__(self, closed: str) -> None:
        self._words = closed
        self._under_way: set[asyncio.Task[None]] = set()
        self._closed = False

    async def stream(
        self, ticket: Ticket, read: Callable[[Callable[[T], None]], Coroutine[Any, Any, None]]
    ) -> AsyncGenerator[T, None]:
        """What `read` gives, as it comes; it raises `EngineError`. Leaving cancels it."""
        if self._closed:
            raise EngineUnavailable(self._words)
        ticket.cancel.raise_if_cancelled()
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[tuple[T, ...]] = asyncio.Queue()
        reading = asyncio.ensure_future(read(lambda item: made.put_nowait((item,))))
        self._under_way.add(reading)
        reading.add_done_callback(self._under_way.discard)
        reading.add_done_callback(look_at)
        reading.add_done_callback(lambda _: made.put_nowait(()))

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(made.put_nowait, ())

        ticket.cancel.on_cancel(stop)
        try:
            while (item := await made.get()) and not self._closed:
                ticket.cancel.raise_if_cancelled()
                yield item[0]
            ticket.cancel.raise_if_cancelled()
            if self._closed:
                raise EngineUnavailable(self._words)
            if reading.cancelled():
                raise Cancelled("cancelled")
            reading.result()
        finally:
            await _ended({reading})

    async def close(self) -> None:
        """End all of them, with `EngineUnavailable`; so is what is asked later."""
        self._closed = True
        await _ended(set(self._under_way))


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel them until they have ended."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=_AGAIN_S)
