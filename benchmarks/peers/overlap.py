"""The pocket models, stage by stage: what is done while the silence is still being waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.robot import Robot, Turn
from benchmarks.peers.sound import questions
from benchmarks.peers.wires import opened
from brain.ops.child_brain import child_brain
from brain.settings import load

Progress = Callable[[str], None]

STAGES = ("endpoint", "ahead", "stt", "llm_first_token", "first_clause", "tts_first_audio")


@dataclass(frozen=True)
class Staged:
    """A turn: `total` ms at the robot, and what the server says of its stages, in ms."""

    total: float
    timings: Mapping[str, float]


def measure(turns: int, progress: Progress) -> list[Staged]:
    """`turns` turns with a brain of the profile pocket."""
    progress("starting a brain with the pocket models")
    with child_brain(load(), {"BRAIN_PROFILE": "pocket"}) as (_, port):
        return asyncio.run(_converse(port, turns, progress))


def staged(turns: Sequence[Turn]) -> list[Staged]:
    """Those that were answered."""
    found = []
    for turn in turns:
        total = turn.latency_ms
        timings = next((m["timings_ms"] for _, m in turn.told if m["type"] == "reply_done"), None)
        if total is not None and timings is not None:
            found.append(Staged(total, {k: v for k, v in timings.items() if v is not None}))
    return found


def typical(turns: Sequence[Staged]) -> Staged:
    """The median of each stage, and of the whole."""
    timings = {
        stage: median(values)
        for stage in STAGES
        if (values := [turn.timings[stage] for turn in turns if stage in turn.timings])
    }
    return Staged(median(turn.total for turn in turns), timings)


async def _converse(port: int, turns: int, progress: Progress) -> list[Staged]:
    spoken = questions()
    async with opened("ours", port) as wire:
        robot = Robot(wire)
        await robot.ask(spoken[0])
        found = []
        for number in range(turns):
            progress(f"pocket models: turn {number + 1} of {turns}")
            found.append(await robot.ask(spoken[number % len(spoken)]))
    return staged(found)
