"""`python -m benchmarks.prefix_cache`: what a long conversation costs the next turn's first token.

Robots whose users type talk with the pocket mind through the real dialogue, 10 turns each. The 2nd
and the 10th turn ask the same; the turns between are long, so that 2 000 tokens lie behind the
10th. One robot, four that take turns, and one whose mind has forgotten everything before these two
turns. The figures go to `results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.minds import LOOKS_BACK, a_mind, settings, spread, write
from brain.dialogue import events, outputs
from brain.dialogue.common import Engines, common
from brain.dialogue.config import HouseRules, asks_for_moods, system_prompt
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.dialogue.session import Session
from brain.engines.llm.active import Active
from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.ports import LanguageModel, Message
from brain.house import house_rules
from tests.scripted_engines import ScriptedDetector, ScriptedTranscriber

GOAL_MS = 10.0
TURNS = 10
_ANSWER = 16
_BEHIND = LOOKS_BACK - 2 * _ANSWER - 26
"""Of the 9th turn's prompt: with its answer, and with the 10th question, it just fits."""
_QUESTION = "What does a cow say?"
_STORY = tuple(
    word
    for part in ("the robot of the north went to see the robots of the south", "and told them")
    for word in f"{part} about the snow and the long nights".split()
)


@dataclass
class Typist:
    """A robot whose user types. Its ears and its detector are scripted, and never used."""

    session: Session
    memory: RobotMemory
    house: HouseRules

    async def ask(self, text: str) -> float:
        """Type `text`, wait for the end of the reply; ms to its first token, NaN if none came: so
        far from what it was trained on, the pocket mind may begin a call and be cut off."""
        self.session.post(events.Typed(text))
        while True:
            output = await self.session.outputs.get()
            if isinstance(output, outputs.ReplyDone):
                first = output.timings.llm_first_token
                return math.nan if first is None else first

    async def thought(self) -> None:
        """Return when what follows the reply is prefilled, as it is before a user has spoken."""
        await asyncio.sleep(0.01)
        await self.session._foresight._tasks.over()

    def words(self, turn: int, name: str, engine: LlamaCppMind) -> str:
        """What its user says in this turn: such that the prompt grows by the same each time."""
        if turn in (2, TURNS):
            return _QUESTION
        text = f"I am {name}, and this is my story number {turn}:"
        if turn == 1:
            return text
        config, moods = self.house.defaults, asks_for_moods(self.house.defaults, self.house)
        told = [
            Message("system", system_prompt(config, moods=moods)),
            *self.memory.history.messages(moods=moods),
        ]
        wanted = 300 + (_BEHIND - 300) * (turn - 2) // (TURNS - 3)
        prompt = engine._loaded.prompter.prompt
        here, step = 0, 64
        while step:
            longer = [text, *(_STORY[word % len(_STORY)] for word in range(here + step))]
            asked = [*told, Message("user", " ".join(longer))]
            if len(prompt(asked, config.tools)) <= wanted:
                here += step
            else:
                step //= 2
        return " ".join([text, *(_STORY[word % len(_STORY)] for word in range(here))])


@asynccontextmanager
async def a_typist(name: str, mind: LanguageModel, house: HouseRules) -> AsyncIterator[Typist]:
    """A session of the robot `name`, without a voice."""
    memory = RobotMemory(History(house.history_chars))
    ears = ScriptedTranscriber(["never heard"])
    shared = common(Engines(ScriptedDetector(), ears, mind, None), house)
    session = Session(name, name, shared, house, memory)
    running = asyncio.ensure_future(session.run())
    try:
        yield Typist(session, memory, house)
    finally:
        session.hang_up(1000, "")
        await running


class Processor:
    """Tells the processor time from a question to its first token, which other processes lengthen
    less than they do the time by the clock."""

    def __init__(self, engine: LlamaCppMind) -> None:
        self._asked = self._first = 0.0
        take = engine._batcher._take

        def noted(active: Active, token: int) -> None:
            self._first = self._first or time.process_time()
            take(active, token)

        engine._batcher._take = noted  # type: ignore[method-assign]

    def asked(self) -> None:
        self._asked, self._first = time.process_time(), 0.0

    @property
    def ms(self) -> float:
        return 1000 * (self._first - self._asked)


@dataclass
class Row:
    """Of all conversations of a kind: ms to the first token of the 2nd and of the 10th turn, by the
    clock and of the processor, tokens that were computed for each, and those behind the 10th."""

    second_ms: list[float] = field(default_factory=list)
    tenth_ms: list[float] = field(default_factory=list)
    second_cpu_ms: list[float] = field(default_factory=list)
    tenth_cpu_ms: list[float] = field(default_factory=list)
    second_computed: list[int] = field(default_factory=list)
    tenth_computed: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        second, tenth = spread(self.second_ms), spread(self.tenth_ms)
        second_cpu, tenth_cpu = spread(self.second_cpu_ms), spread(self.tenth_cpu_ms)
        return {
            "conversations": len(self.tenth_ms),
            "turn_2_ms": second,
            "turn_10_ms": tenth,
            "turn_10_above_turn_2_ms": _above(tenth, second),
            "turn_2_cpu_ms": second_cpu,
            "turn_10_cpu_ms": tenth_cpu,
            "turn_10_above_turn_2_cpu_ms": _above(tenth_cpu, second_cpu),
            "computed_turn_2": max(self.second_computed),
            "computed_turn_10": max(self.tenth_computed),
            "tokens_behind_turn_10": min(self.behind),
        }


def _above(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {which: round(one[which] - other[which], 2) for which in ("min", "median")}


async def converse(
    lane: LanguageModel,
    engine: LlamaCppMind,
    processor: Processor,
    house: HouseRules,
    names: list[str],
    row: Row,
    *,
    forgetful: bool = False,
) -> None:
    """Have so many robots talk, turn by turn; `forgetful`: nothing is cached at turns 2, 10."""
    async with AsyncExitStack() as stack:
        robots = {
            name: await stack.enter_async_context(a_typist(name, lane, house)) for name in names
        }
        for turn in range(1, TURNS + 1):
            for name, robot in robots.items():
                words = robot.words(turn, name, engine)
                await robot.thought()
                if forgetful and turn in (2, TURNS):
                    await engine._worker.run(engine._batcher.forget)
                before = engine.counters
                processor.asked()
                first_ms = await robot.ask(words)
                # (What is prefilled after the reply comes later.)
                computed = engine.counters.prefilled - before.prefilled
                if math.isnan(first_ms):
                    continue
                if turn == 2:
                    row.second_ms.append(first_ms)
                    row.second_cpu_ms.append(processor.ms)
                    row.second_computed.append(computed)
                elif turn == TURNS:
                    row.tenth_ms.append(first_ms)
                    row.tenth_cpu_ms.append(processor.ms)
                    row.tenth_computed.append(computed)
                    found = engine.counters.reused - before.reused
                    row.behind.append(found + (computed if forgetful else 0))
    await engine._worker.run(engine._batcher.forget)


async def measure(repeats: int) -> dict[str, Row]:
    """All rows, in turns, so that what else the machine does falls on all alike."""
    chosen = settings(llm_max_output_tokens=_ANSWER)
    house = house_rules(chosen)
    rows = {name: Row() for name in ("one_robot", "four_robots", "one_robot_without_cache")}
    async with a_mind(chosen) as (lane, engine):
        processor = Processor(engine)
        for repeat in range(-1, repeats):
            for which, row in rows.items():
                robots = 4 if which == "four_robots" else 1
                names = [f"robot {number} of {repeat}" for number in range(robots)]
                into = row if repeat >= 0 else Row()
                forgetful = which == "one_robot_without_cache"
                await converse(lane, engine, processor, house, names, into, forgetful=forgetful)
            print(".", end="", flush=True)
    print()
    return rows


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--repeats", type=int, default=6, help="(default %(default)s)")
    p.add_argument("--out", type=Path, help="default: a file in benchmarks/results")
    args = p.parse_args()
    rows = {name: row.as_json() for name, row in asyncio.run(measure(args.repeats)).items()}
    for name, row in rows.items():
        print(
            f"{name:24} turn 2 {row['turn_2_ms']['median']:7.1f} ms, turn 10"
            f" {row['turn_10_ms']['median']:7.1f} ms (behind it {row['tokens_behind_turn_10']}"
            f" tokens, computed {row['computed_turn_10']}):"
            f" {row['turn_10_above_turn_2_ms']['median']:+.1f} ms"
            f" (of the quickest {row['turn_10_above_turn_2_ms']['min']:+.1f}; of the processor"
            f" {row['turn_10_above_turn_2_cpu_ms']['median']:+.1f})"
        )
    write("prefix-cache", {"goal_ms": GOAL_MS, **rows}, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
