"""A robot on a network of the test's own: `python -m tests.e2e.lan_robot HOST` there.

Each line of its input is a command, answered by a line of JSON: `locate` by the URL that a
`Locator`, always the same one, gives, what it said of its choice, and how long it took; `list` by
all brains that are found; `squat NAME` takes this name without asking whether it is free, and is
answered by the names that are found, as soon as they are two; `talk` opens a connection, the first
time, and is answered by the next `ready` that comes of it, and what was said before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from robot_client.address import Locator, NoBrainFound, brain_address
from robot_client.connection import Connection, Disconnected
from robot_client.discovery import SERVICE_TYPE, find_brains
from robot_client.messages import Ready
from tests.e2e.lan import Machine

ROOT = Path(__file__).parents[2]


@dataclass
class LanRobot:
    """The robot, as the test sees it."""

    process: subprocess.Popen[str]

    def ask(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def until_at(self, url: str, seconds: float = 20) -> dict[str, Any]:
        """Locates until the brain is found there."""
        end = time.monotonic() + seconds
        while (answer := self.ask("locate")).get("url") != url:
            assert time.monotonic() < end, answer
        return answer


@contextlib.contextmanager
def a_lan_robot(
    machine: Machine, host: str = "auto", port: int | None = None
) -> Iterator[LanRobot]:
    words = [sys.executable, "-m", "tests.e2e.lan_robot", host, *([str(port)] if port else [])]
    process = subprocess.Popen(
        machine.command(*words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield LanRobot(process)
    finally:
        process.communicate(timeout=10)


async def _locate(locator: Locator, said: list[str]) -> dict[str, Any]:
    said.clear()
    threads = threading.active_count()
    since = time.monotonic()
    try:
        answer: dict[str, Any] = {"url": (await locator()).partition("?")[0]}
    except NoBrainFound as error:
        answer = {"none": str(error)}
    took_s = time.monotonic() - since
    left = {
        "tasks": len(asyncio.all_tasks()) - 1,
        "threads": threading.active_count() - threads,
        "sockets": _mdns_sockets(),
    }
    return {**answer, "said": said, "took_s": took_s, "left": left}


def _mdns_sockets() -> int:
    """Those of port 5353 (hexadecimal 14E9) on this machine, which has no other process."""
    tables = [Path(f"/proc/self/net/{name}").read_text() for name in ("udp", "udp6")]
    return sum(table.count(":14E9 ") for table in tables)


async def _squat(name: str) -> list[str]:
    info = ServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        port=1,
        server="a-squatter.local.",
        parsed_addresses=["10.9.0.9"],
    )
    squatter = AsyncZeroconf(interfaces=["10.9.0.9"])
    try:
        await squatter.async_register_service(info, cooperating_responders=True)
        found = await find_brains(20, lambda brains: 0 if len(brains) == 2 else math.inf)
    finally:
        await squatter.async_close()
    return [brain.name for brain in found]


class _Talk:
    """A connection that lasts from one command to the next."""

    def __init__(self, locator: Locator, said: list[str]) -> None:
        self._connection = Connection(locator)
        self._events = self._connection.events()
        self._said = said
        self._open = False

    async def until_ready(self) -> dict[str, Any]:
        if not self._open:
            self._open = True
            await self._connection.__aenter__()
        reasons = []
        async for arrival in self._events:
            if isinstance(arrival.event, Disconnected):
                reasons.append(arrival.event.reason)
            elif isinstance(arrival.event, Ready):
                said = list(self._said)
                self._said.clear()
                return {"resumed": arrival.event.resumed, "reasons": reasons, "said": said}
        raise EOFError("the connection has ended")

    async def close(self) -> None:
        await self._connection.close()


async def _main(host: str, port: str = "0") -> None:
    said: list[str] = []
    locator = Locator(brain_address(host, int(port) or None, robot_id="r"), said.append)
    talk: _Talk | None = None
    while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if command == "locate":
            answer = await _locate(locator, said)
        elif command == "talk":
            talk = talk or _Talk(locator, said)
            answer = await talk.until_ready()
        elif command.startswith("squat "):
            answer = {"names": await _squat(command.partition(" ")[2])}
        else:
            answer = {"brains": [str(brain) for brain in await find_brains(1.2)]}
        print(json.dumps(answer), flush=True)
    if talk is not None:
        await talk.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
