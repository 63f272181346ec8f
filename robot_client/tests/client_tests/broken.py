"""Brains that break in one way or another, and what tests wait with."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from client_tests.scripted import Script, ScriptedBrain, Visit, scripted
from robot_client.connection import Connection

SECOND = 16_000 * 2  # bytes


class Sleeps:
    """Doesn't sleep, and remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def first(connection: Connection, kind: type[Any]) -> Any:
    """The next event of this type."""
    async for arrival in connection.events():
        if isinstance(arrival.event, kind):
            return arrival.event
    raise AssertionError(f"no {kind.__name__}")


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 (what other tasks and the system do has no event)
        await asyncio.sleep(0.005)


async def greets(visit: Visit) -> None:
    await visit.ready()
    await visit.until_gone()


async def crashes(visit: Visit) -> None:
    await visit.ready()
    visit.socket.transport.abort()


async def goes_when_told(visit: Visit) -> None:
    await visit.ready()
    await visit.until("say")
    await visit.socket.close(1001)


@asynccontextmanager
async def nowhere(host: str, port: int = 0) -> AsyncIterator[int]:
    """An address where whoever knocks is neither let in nor sent away: a full queue."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for each in waiting:
                each.close()


async def holds_its_breath(visit: Visit) -> None:
    """Greets, and then neither reads nor answers nor closes."""
    await visit.ready()
    await visit.until("say")
    visit.socket.transport.pause_reading()
    await visit.socket.wait_closed()


@asynccontextmanager
async def breathless(*scripts: Script) -> AsyncIterator[ScriptedBrain]:
    """A scripted brain that is put out of its misery in the end."""
    async with scripted(*scripts) as brain:
        try:
            yield brain
        finally:
            put_away(brain)


def put_away(brain: ScriptedBrain) -> None:
    for visit in brain.visits:
        visit.socket.transport.abort()
