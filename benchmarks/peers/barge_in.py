"""Barge-in: somebody speaks over a long reply. How soon is it silent, and are the engines free?

The clock starts with the first sample of the interruption. The language model has most of its
answer still before it and the voice is at work, so both have something to be stopped at.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.figures import Figures, figures
from benchmarks.peers.robot import Interruption, Robot, Turn
from benchmarks.peers.servers import Server, running
from benchmarks.peers.sound import questions, story_request
from benchmarks.peers.wires import opened

Progress = Callable[[str], None]

_AFTER_S = 1.0
"""So long after the first sound of the reply the interruption begins."""


@dataclass
class BargeIn:
    """What was measured, in ms from the first sample of the interruption. `silent`: the last sound
    was sent to the robot; `told`: it was told that the reply is over; `free`: the engines had let
    go of it. `missed`: interruptions that stopped nothing."""

    silent: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    free: list[float] = field(default_factory=list)
    missed: int = 0

    def rows(self) -> dict[str, Figures]:
        """By name."""
        return {
            "last sample sent": figures(self.silent),
            "robot told (reply_done)": figures(self.told),
            "engines free": figures(self.free),
        }


def measure(times: int, progress: Progress) -> BargeIn:
    """Interrupt our server so often."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "engines.jsonl"
        server = Server("ours", "our_server", ("--log", str(log)))
        with running(server) as port:
            turns = asyncio.run(_interrupt(port, times, progress))
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    return judged(turns, [(line["at"], line["engine"], line["what"]) for line in lines])


def judged(turns: Sequence[Turn], work: Iterable[tuple[float, str, str]]) -> BargeIn:
    """From what the robot saw, and when the engines began and ended what (`clock` seconds)."""
    events = sorted(work)
    result = BargeIn()
    for turn in turns:
        at = turn.interrupted_at
        told = next((t for t, message in turn.told if message.get("reason") == "interrupted"), None)
        if at is None or told is None:
            result.missed += 1
            continue
        last = turn.last_sound_before(told)
        result.silent.append(max(0.0, (last or at) - at) * 1000)
        result.told.append((told - at) * 1000)
        # The interruption is heard next: whatever ends before that was the reply's.
        next_heard = min(
            (t for t, engine, what in events if (engine, what) == ("stt", "begins") and t > at),
            default=float("inf"),
        )
        ended = [t for t, _, what in events if what == "ends" and at < t < next_heard]
        result.free.append((max(ended, default=at) - at) * 1000)
    return result


async def _interrupt(port: int, times: int, progress: Progress) -> list[Turn]:
    turns: list[Turn] = []
    request, over = story_request(), questions()
    async with opened("ours", port) as wire:
        robot = Robot(wire)
        for number in range(times):
            progress(f"interruption {number + 1} of {times}")
            speech = Interruption(over[number % len(over)], _AFTER_S, _is_answered)
            turns.append(await robot.ask(request, interruption=speech))
    return turns


def _is_answered(message: dict[str, Any]) -> bool:
    return (message["type"], message.get("reason")) == ("reply_done", "completed")
