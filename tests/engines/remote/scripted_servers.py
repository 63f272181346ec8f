"""Servers with fixed behaviour, and what asks them, for tests of timing. Nothing of it is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from brain.engines.ports import (
    Cancelled,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Ticket,
)
from brain.engines.remote.endpoint import Server

Behaviour = Callable[["Scripted"], AsyncGenerator[str, None]]


class Scripted:
    """A server named `name`: `there` or not, `ill` or not, and `says` what a call gets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.there = True
        self.ill = False
        self.says: Behaviour = answers
        self.asked: list[str] = []
        self.left = 0
        self.builds = 0
        self.open = 0
        self.closed = 0

    @property
    def server(self) -> Server[Asking]:
        return Server(self.name, self._build, self._probe)

    async def _build(self) -> Asking:
        await self._probe()
        self.builds += 1
        if self.ill:
            raise EngineFailed(f"{self.name} is ill.")
        return Asking(self)

    async def _probe(self) -> None:
        if not self.there:
            raise EngineUnavailable(f"{self.name} can't be reached.")


class Asking:
    """The engine that asks a scripted server."""

    def __init__(self, server: Scripted) -> None:
        self.server = server

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", self.server.name)

    async def close(self) -> None:
        self.server.closed += 1

    async def stream(self, ticket: Ticket) -> AsyncGenerator[str, None]:
        server = self.server
        server.asked.append(ticket.robot)
        stopped = asyncio.Event()
        ticket.cancel.on_cancel(stopped.set)
        if not server.there:
            raise EngineUnavailable(f"{server.name} can't be reached.")
        server.open += 1
        ended = False
        try:
            async with aclosing(server.says(server)) as items:
                while (item := await _unless(stopped, anext(items, None))) is not None:
                    ticket.cancel.raise_if_cancelled()
                    yield item
            ended = True
        finally:
            server.open -= 1
            server.left += not ended


async def _unless(stopped: asyncio.Event, item: Awaitable[str | None]) -> str | None:
    """`item`; raises `Cancelled` when it is stopped before that is there."""
    step, stop = asyncio.ensure_future(item), asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait({step, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not step.done():
            raise Cancelled("cancelled")
        return step.result()
    finally:
        step.cancel()
        stop.cancel()
        await asyncio.wait({step, stop})


async def answers(server: Scripted) -> AsyncGenerator[str, None]:
    yield server.name
    yield "."


async def hangs(_: Scripted) -> AsyncGenerator[str, None]:
    await asyncio.sleep(1e6)
    yield "never"


def slow(seconds: float) -> Behaviour:
    async def says(server: Scripted) -> AsyncGenerator[str, None]:
        await asyncio.sleep(seconds)
        yield server.name

    return says


def fails(error: EngineError, *, after: Sequence[str] = ()) -> Behaviour:
    async def says(_: Scripted) -> AsyncGenerator[str, None]:
        for word in after:
            yield word
        raise error

    return says
