"""The first turn after the start of our server, beside the tenth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.peers.robot import Robot
from benchmarks.peers.servers import Server, running
from benchmarks.peers.sound import questions
from benchmarks.peers.wires import opened

Progress = Callable[[str], None]

_TENTH = 10


@dataclass
class FirstTurns:
    """In ms, of one start each. The same words are said in the first and in the tenth turn."""

    first: list[float] = field(default_factory=list)
    tenth: list[float] = field(default_factory=list)


def measure(starts: int, progress: Progress) -> FirstTurns:
    """Of so many starts."""
    result = FirstTurns()
    for number in range(starts):
        with running(Server("ours", "our_server")) as port:
            progress(f"first turns: start {number + 1} of {starts}")
            latencies = asyncio.run(_converse(port))
        for measured, latency in zip((result.first, result.tenth), latencies, strict=True):
            if latency is not None:
                measured.append(latency)
    return result


async def _converse(port: int) -> tuple[float | None, float | None]:
    question, *others = questions()
    async with opened("ours", port) as wire:
        robot = Robot(wire)
        first = await robot.ask(question)
        for number in range(_TENTH - 2):
            await robot.ask(others[number % len(others)])
        tenth = await robot.ask(question)
    return first.latency_ms, tenth.latency_ms
