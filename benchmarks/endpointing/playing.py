"""Plays an utterance to the whole actor on the virtual clock, and tells when its turns ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.endpointing.engines import Judged
from benchmarks.endpointing.utterances import Spoken
from brain.dialogue import outputs
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.ports import EndOfTurn, Transcriber
from brain.engines.vad.silero import FRAME
from tests.dialogue.house import a_session
from tests.scripted_engines import ScriptedMind
from tests.virtual_time import run_virtual

_CHUNK_MS = FRAME // 16


@dataclass(frozen=True)
class Played:
    """`cut`: a turn ended before the last piece began. `wait_ms`: from the true end of speech to
    the end of the turn, the last one if there were several."""

    spoken: Spoken
    cut: bool
    wait_ms: float


Ears = Callable[[Spoken], Transcriber]


def play(
    spoken: Spoken,
    detector: Judged,
    house: HouseRules,
    ears: Ears,
    model: EndOfTurn | None = None,
    memory: RobotMemory | None = None,
) -> Played:
    """Play `spoken` in real time, which costs none. Text only: the reply is of no matter."""

    async def main() -> list[float]:
        async with a_session(
            ears=ears(spoken),
            mind=ScriptedMind(["Yes."]),
            detector=detector,
            house=house,
            memory=memory or RobotMemory(History()),
            mute=True,
            end_of_turn=model,
        ) as robot:
            began = asyncio.get_running_loop().time()
            await robot.speak(spoken.sound, chunk_ms=_CHUNK_MS)
            # (A chunk is sent when it begins, and would be there when it ends.)
            return [
                time - began + _CHUNK_MS / 1000
                for time, output in robot.said
                if isinstance(output, outputs.SpeechStopped)
            ]

    ends = run_virtual(main())
    cut = any(end < spoken.spans[-1][0] for end in ends)
    return Played(spoken, cut, (ends[-1] - spoken.end_s) * 1000 if ends else float("nan"))


def figures(played: Sequence[Played]) -> dict[str, float]:
    """Of many: the share cut off, and the wait in ms."""
    waits = [one.wait_ms for one in played]
    return {
        "utterances": len(played),
        "cut_off": round(sum(one.cut for one in played) / len(played), 3),
        "wait_median_ms": round(float(np.median(waits)), 1),
        "wait_p95_ms": round(float(np.percentile(waits, 95)), 1),
        "wait_mean_ms": round(float(np.mean(waits)), 1),
    }
