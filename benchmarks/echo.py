"""`python -m benchmarks.echo`: does the robot hear itself, and does it hear anybody else?

The whole session on the virtual clock with the pocket voice and ears and Silero, in a simulated
room (`tests/dialogue/room.py`) where the robot's own voice comes back at some level after some
delay, with `ECHO=guard`. In each cell of the table it speaks 100 times while nobody else does; then
two strangers, as loud as the robot, speak over it: words, which are to stop it, and back-channels,
which are not. The same alone with `ECHO=none`, so as to see that there is something to guard
against, and strangers without any echo.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from brain.dialogue import events, outputs
from brain.dialogue.config import Echo, HouseRules
from brain.engines.vad.silero import SileroDetector
from brain.ops.check_ears import Speaker
from brain.ops.check_voices import speak
from tests.dialogue.house import a_session
from tests.dialogue.room import GUEST, RATE, REPLIES, PocketEars, PocketMouth, Room, Sound, in_room
from tests.scripted_engines import ScriptedMind
from tests.virtual_time import run_virtual

LEVELS_DB = (-6.0, -12.0, -20.0)
DELAYS_MS = (50.0, 150.0, 300.0)
SHORT = ("An octopus has three hearts.", "I like blue best.", "It counted to ten and fell asleep.")
STRANGERS = (GUEST, Speaker("en-gb+m3", 150, 40))
WORDS = ("What time is it?", "Stop.", "Tell me a joke.")
BACKCHANNELS = ("Mm-hm.", "Okay.", "Yeah.", "Uh-huh.")
LOUD = 0.085  # RMS, as the pocket voice's


@dataclass
class Cell:
    """`interrupted_itself` of `turns`; `stopped_by_words` and `_by_backchannels` of so many said;
    `stopped_after_ms`: since the first of the words, and since then no more was sent."""

    echo: Echo
    level_db: float
    delay_ms: float
    turns: int = 0
    interrupted_itself: int = 0
    words: int = 0
    stopped_by_words: int = 0
    backchannels: int = 0
    stopped_by_backchannels: int = 0
    stopped_after_ms: list[int] = field(default_factory=list)
    last_sent_after_ms: list[int] = field(default_factory=list)


def measure(cell: Cell, detector: SileroDetector, *, turns: int, strangers: bool) -> Cell:
    """Fill in the cell."""
    if turns:
        room = run_virtual(_alone(cell, detector, turns))
        cell.turns = turns
        stopped = sum(done.reason != "completed" for done in room.all(outputs.ReplyDone))
        # (What it takes for a turn it answers, and interrupts again.)
        cell.interrupted_itself = min(turns, stopped or len(room.all(outputs.SpeechStarted)))
    for stranger in STRANGERS if strangers else ():
        for text in WORDS:
            cell.words += 1
            cell.stopped_by_words += run_virtual(_over(cell, detector, text, stranger, note=True))
        for text in BACKCHANNELS:
            cell.backchannels += 1
            cell.stopped_by_backchannels += run_virtual(_over(cell, detector, text, stranger))
    return cell


async def _alone(cell: Cell, detector: SileroDetector, turns: int) -> Room:
    async with _session(cell, detector, SHORT) as room:
        for _ in range(turns):
            ended = len(room.all(outputs.ReplyDone))
            room.session.post(events.Typed("go on"))
            while len(room.all(outputs.ReplyDone)) == ended:
                await room.live(0.2)
            await room.live(0.5)
    return room


async def _over(
    cell: Cell, detector: SileroDetector, text: str, who: Speaker, *, note: bool = False
) -> bool:
    """Whether `text` stops the robot in the midst of its second reply."""
    async with _session(cell, detector, (SHORT[2], REPLIES[0])) as room:
        room.session.post(events.Typed("go on"))
        await room.live(3.5)
        room.session.post(events.Typed("go on"))
        await room.live(2.0)
        said = _said(text, who)
        began = asyncio.get_running_loop().time() + _onset_s(said)
        await room.live(len(said) / RATE + 1.5, said)
        stopped = [
            time
            for time, output in room.said
            if isinstance(output, outputs.ReplyDone) and output.reason == "interrupted"
        ]
        sent = [
            time
            for time, output in room.said
            if isinstance(output, outputs.ReplyAudio) and output.reply_id == 2
        ]
        if note and stopped:
            cell.stopped_after_ms.append(round((stopped[0] - began) * 1_000))
            cell.last_sent_after_ms.append(round((max(sent) - began) * 1_000))
    return bool(stopped)


def _session(cell: Cell, detector: SileroDetector, replies: Sequence[str]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return a_session(
        mind=ScriptedMind(replies),
        mouth=PocketMouth(),
        ears=PocketEars(),
        detector=detector,
        house=HouseRules(echo=cell.echo, tentative_ms=128),
        a_robot=in_room(echo_db=cell.level_db, delay_ms=cell.delay_ms),
    )


def _said(text: str, who: Speaker) -> Sound:
    sound = speak(text, who).astype(np.float64)
    return sound * (LOUD / np.sqrt(np.mean(sound**2)))


def _onset_s(sound: Sound) -> float:
    return float(np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())[0]) / RATE


def main() -> None:
    """Prints JSON for `results/`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=100, help="a cell (default: %(default)s)")
    given = parser.parse_args()
    detector = SileroDetector()
    cells = [
        measure(Cell("guard", level, delay), detector, turns=given.turns, strangers=True)
        for level in LEVELS_DB
        for delay in DELAYS_MS
    ]
    cells.append(measure(Cell("none", -12, 150), detector, turns=20, strangers=False))
    cells.append(measure(Cell("none", -90, 150), detector, turns=0, strangers=True))
    result = [asdict(cell) for cell in cells]
    after = [ms for cell in cells if cell.echo == "guard" for ms in cell.stopped_after_ms]
    print(json.dumps({"guard_stops_after_ms_median": statistics.median(after), "cells": result}))


if __name__ == "__main__":
    main()
