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
    """A turn: `total` ms at the robot, and what the server says of its stages, in ms. `let_go`: by
    so much later than the last sample of speech its silence begins (the detector hears it later,
    and the way to the server is in it)."""

    total: float
    timings: Mapping[str, float]
    let_go: float = 0.0


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
        if total is None or timings is None:
            continue
        known = {stage: ms for stage, ms in timings.items() if ms is not None}
        over = next((at for at, m in turn.told if m["type"] == "speech_stopped"), None)
        after = (over - turn.spoken_at) * 1000 if over is not None else 0.0
        found.append(Staged(total, known, max(0.0, after - known.get("endpoint", after))))
    return found


def typical(turns: Sequence[Staged]) -> Staged:
    """The median of each stage, and of the whole."""
    timings = {
        stage: median(values)
        for stage in STAGES
        if (values := [turn.timings[stage] for turn in turns if stage in turn.timings])
    }
    total, let_go = median(t.total for t in turns), median(t.let_go for t in turns)
    return Staged(total, timings, let_go)


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
