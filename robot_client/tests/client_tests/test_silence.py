"""A brain that is gone without a word; and what a closed connection leaves: nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from client_tests.broken import (
    SECOND,
    Sleeps,
    breathless,
    crashes,
    first,
    greets,
    holds_its_breath,
    nowhere,
    put_away,
    until,
)
from client_tests.scripted import Visit, scripted
from robot_client import dial, requests
from robot_client.connection import Connection, Disconnected
from robot_client.messages import Ready
from robot_client.requests import Session

# -- a peer that is gone without a word --------------------------------------------------------


def test_together_the_pings_take_less_than_ten_seconds() -> None:
    assert dial.PING_S + dial.PONG_S + dial._GRACE_S < 10


@pytest.mark.parametrize("seconds_of_sound", [0, 60], ids=["quiet", "buffers full"])
def test_a_silent_brain_is_noticed_and_left(
    run: Any, monkeypatch: pytest.MonkeyPatch, seconds_of_sound: int
) -> None:
    monkeypatch.setattr(dial, "PING_S", 0.05)
    monkeypatch.setattr(dial, "PONG_S", 0.3)

    async def main() -> None:
        async with (
            breathless(holds_its_breath, greets) as brain,
            Connection(brain.url, sleep=Sleeps()) as connection,
        ):
            await first(connection, Ready)
            connection.send(requests.say("hold your breath"))
            for _ in range(seconds_of_sound * 10):
                connection.send_audio(bytes(SECOND // 10))
                await asyncio.sleep(0)
            assert "doesn't answer" in (await first(connection, Disconnected)).reason
            assert not connection.connected
            await first(connection, Ready)
            assert len(brain.visits) == 2

    run(main())


def test_a_greeting_that_is_not_taken_is_noticed_too(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "PONG_S", 0.3)
    much = Session(instructions="word " * 180_000)

    async def deaf(visit: Visit) -> None:
        visit.socket.transport.pause_reading()
        await visit.socket.wait_closed()

    async def main() -> None:
        async with (
            breathless(deaf) as brain,
            Connection(brain.url, session=much, sleep=Sleeps()) as connection,
        ):
            assert "doesn't answer" in (await first(connection, Disconnected)).reason

    run(main())


def test_a_brain_that_answers_its_pings_is_kept(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "PING_S", 0.01)

    async def main() -> None:
        async with scripted(greets) as brain, Connection(brain.url) as connection:
            await first(connection, Ready)
            for _ in range(30):
                await asyncio.sleep(0.01)
            assert connection.connected
            assert len(brain.visits) == 1

    run(main())


def test_a_robot_that_was_busy_itself_does_not_blame_the_brain(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "PING_S", 0.0)
    monkeypatch.setattr(dial, "PONG_S", 0.05)

    async def main() -> None:
        async with scripted(greets) as brain, Connection(brain.url) as connection:
            await first(connection, Ready)
            for _ in range(3):
                time.sleep(0.2)  # noqa: ASYNC251 (this is what is shown)
                await asyncio.sleep(0.01)
            assert connection.connected
            assert connection.sockets == 1

    run(main())


# -- nothing left behind -----------------------------------------------------------------------


def counted() -> tuple[int, int, int]:
    """Tasks, threads, and open files of this process."""
    files = len(list(Path("/proc/self/fd").iterdir()))
    return len(asyncio.all_tasks()), threading.active_count(), files


async def never() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def while_connected(connection: Connection) -> None:
    await first(connection, Ready)


async def while_waiting_to_come_back(connection: Connection) -> None:
    await first(connection, Disconnected)


async def while_busy(connection: Connection) -> None:
    await asyncio.sleep(0.05)


async def while_stuck(connection: Connection) -> None:
    await first(connection, Ready)
    connection.send(requests.say("hold your breath"))
    await asyncio.sleep(0.02)
    for _ in range(600):
        connection.send_audio(bytes(SECOND // 10))
        await asyncio.sleep(0)


async def while_nobody_reads(connection: Connection) -> None:
    await until(lambda: connection.connected)


When = Callable[[Connection], Awaitable[None]]


@pytest.mark.parametrize(
    ("where", "when"),
    [
        ("greets", while_connected),
        ("greets", while_nobody_reads),
        ("crashes", while_waiting_to_come_back),
        ("closed port", while_waiting_to_come_back),
        ("full queue", while_busy),
        ("search", while_busy),
        ("holds its breath", while_stuck),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_after_close_nothing_is_left(
    run: Any, monkeypatch: pytest.MonkeyPatch, where: str, when: When
) -> None:
    monkeypatch.setattr(dial, "CLOSE_S", 0.2)
    scripts = {"crashes": crashes, "holds its breath": holds_its_breath}

    async def main() -> None:
        async with breathless(scripts.get(where, greets)) as brain, nowhere("127.0.0.1") as full:
            urls: dict[str, Any] = {
                "closed port": "ws://127.0.0.1:9/ws",
                "full queue": f"ws://127.0.0.1:{full}/ws",
                "search": never,
            }
            before = counted()
            for _ in range(3):
                connection = Connection(urls.get(where, brain.url))
                async with connection:
                    await when(connection)
                put_away(brain)  # its own ends aren't what is counted
                assert not [t for t in asyncio.all_tasks() if "robot-client" in t.get_name()]
            await until(lambda: counted() == before)  # as soon as the brain's ends are gone

    run(main())
