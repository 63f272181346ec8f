"""An engine's spare time: work that nobody waits for, and that gives way to whoever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from brain.engines.ports import Cancelled, CancelToken, Ticket


class SpareTime:
    """Tells when the engine is in use, and lets one after another work at it when it isn't. For
    one event loop."""

    def __init__(self) -> None:
        self._users = 0
        self._at_work: CancelToken | None = None
        self._free = asyncio.Event()
        self._free.set()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """The engine is in use: what is done in its spare time is broken off at once."""
        self._users += 1
        self._free.clear()
        if self._at_work is not None:
            self._at_work.cancel()
        try:
            yield
        finally:
            self._users -= 1
            self._freed()

    async def use(self, ticket: Ticket, work: Callable[[Ticket], Awaitable[None]]) -> None:
        """Have `work` done while nobody else uses the engine; begun anew whenever it gave way.

        It gets a ticket with a token of its own, for as long as it is at it, and raises `Cancelled`
        when that is set. Raises what it raises else, and `Cancelled` once `ticket` is.
        """
        while True:
            await self._until_free(ticket)
            token = CancelToken()
            ticket.cancel.on_cancel(token.cancel)
            self._at_work = token
            self._free.clear()
            try:
                await work(replace(ticket, cancel=token))
            except Cancelled:
                if ticket.cancel.cancelled or not token.cancelled:
                    raise
            else:
                return
            finally:
                self._at_work = None
                self._freed()

    async def _until_free(self, ticket: Ticket) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stopped.set)

        ticket.cancel.on_cancel(stop)
        while not self._free.is_set() and not ticket.cancel.cancelled:
            either = [asyncio.ensure_future(event.wait()) for event in (self._free, stopped)]
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in either:
                    wait.cancel()
        ticket.cancel.raise_if_cancelled()

    def _freed(self) -> None:
        if not self._users and self._at_work is None:
            self._free.set()
