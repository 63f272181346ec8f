"""The watchdog of a real brain, over a real NOTIFY_SOCKET: fed when it idles and when it works, and
not when it is stopped or one of its engines is stuck for good."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.e2e.sockets import a_robot

ALLOWED_S = 2.0
INTERVAL_S = ALLOWED_S / 2
FED = "WATCHDOG=1"


@dataclass
class Manager:
    """The service manager's end. `told`: each message, and when it came."""

    channel: socket.socket
    told: list[tuple[float, str]] = field(default_factory=list)

    def listen(self, seconds: float) -> list[str]:
        """What is told from now on, for so long."""
        since, end = time.monotonic(), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.channel.settimeout(left)
            with contextlib.suppress(socket.timeout):
                self.told.append((time.monotonic(), self.channel.recv(4096).decode()))
        return [message for at, message in self.told if at >= since]

    def until(self, start: str, seconds: float = 60) -> str:
        """The next message that begins like this."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.channel.settimeout(left)
            message = self.channel.recv(4096).decode()
            self.told.append((time.monotonic(), message))
            if message.startswith(start):
                return message
        raise AssertionError(f"no {start}: {self.told}")

    def drain(self) -> None:
        """What came so far."""
        self.channel.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told.append((time.monotonic(), self.channel.recv(4096).decode()))

    def longest_without_food(self, since: float) -> float:
        """From then until now, s."""
        fed = [at for at, message in self.told if message == FED and at >= since]
        times = [since, *fed, time.monotonic()]
        return max(b - a for a, b in itertools.pairwise(times))


@contextlib.contextmanager
def a_watched_brain(folder: Path, module: str = "brain") -> Iterator[tuple[Brain, Manager]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(folder / "notify"))
        environ = {
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(int(ALLOWED_S * 1e6)),
        }
        with a_pocket_brain(folder, module=module, environ=environ) as brain:
            yield brain, Manager(channel)


def test_it_is_fed_idle_and_at_work_and_not_when_stopped(tmp_path: Path) -> None:
    with a_watched_brain(tmp_path) as (brain, manager):
        ready = manager.until("READY=1")
        assert "STATUS=ready; vad silero" in ready
        since = time.monotonic()
        idle = manager.listen(3 * ALLOWED_S)
        assert idle.count(FED) >= 4
        assert manager.longest_without_food(since) < ALLOWED_S

        since = time.monotonic()
        asyncio.run(turns(brain, manager, 3))
        assert manager.longest_without_food(since) < ALLOWED_S

        os.kill(brain.process.pid, signal.SIGSTOP)
        try:
            manager.drain()
            assert manager.listen(2 * ALLOWED_S) == []
        finally:
            os.kill(brain.process.pid, signal.SIGCONT)
        manager.until(FED, ALLOWED_S)


async def turns(brain: Brain, manager: Manager, count: int) -> None:
    """Real ones, while the manager listens along."""
    done = asyncio.Event()

    async def listen() -> None:
        while not done.is_set():
            manager.drain()
            await asyncio.sleep(0.05)

    listening = asyncio.ensure_future(listen())
    try:
        async with a_robot(brain.address, "?robot_id=watched") as robot:
            await robot.next("ready")
            for _ in range(count):
                await robot.speak(spoken("What is your name?"), paced=True)
                assert (await robot.next("reply_done", seconds=30))["reason"] == "completed"
    finally:
        done.set()
        await listening


def test_an_engine_that_is_stuck_for_good_starves_it(tmp_path: Path) -> None:
    """A scripted one, in the real brain: `tests.e2e.hung_mind`."""
    with a_watched_brain(tmp_path, "tests.e2e.hung_mind") as (brain, manager):
        manager.until("READY=1")
        assert FED in manager.listen(ALLOWED_S)
        asyncio.run(turns(brain, manager, 1))

        async def ask() -> None:
            async with a_robot(brain.address, "?robot_id=watched") as robot:
                await robot.next("ready")
                await robot.speak(spoken("What is your name?"), paced=True)
                # Cancelled, and the robot answered: first of all nobody is left waiting.
                assert (await robot.next("reply_done", seconds=30))["reason"] != "completed"

        asyncio.run(ask())
        told = manager.until("STATUS=stalled", 30)
        assert told == "STATUS=stalled: llm: an engine hung, and none took its place within 1 s"
        assert FED not in manager.listen(2 * ALLOWED_S)
        assert brain.process.poll() is None  # the ending is systemd's
        assert "the watchdog isn't fed any more: llm" in brain.log.read_text()
