"""Voice to voice: from the last sample of speech to the first of the reply, at the robot.

All servers are up at once, and take turns: the robot says the same thing to one after another, in
an order that changes each time round, and each answers while the others hear nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field

import numpy as np

from benchmarks.peers.figures import Figures, figures
from benchmarks.peers.floors import critical_path_ms, silences
from benchmarks.peers.robot import Robot, Turn
from benchmarks.peers.rows import Row, placed
from benchmarks.peers.servers import NotStarted, Server, running
from benchmarks.peers.sound import Sound, questions
from benchmarks.peers.wires import opened
from brain.dialogue.state import Rules, samples

Progress = Callable[[str], None]

_WARM_UPS = 4
_WARM_UP_S = 60.0


@dataclass
class RowResult:
    """What a row measured. `first_ms`: its first turn after the start of the server, which counts
    nowhere else. `heard`: all that the robot sent. Of ours, each turn's `end_ms` is when its
    silence was long enough, and `own_ms` what our server took beyond the critical path (see
    `floors`)."""

    row: Row
    turns: list[Turn] = field(default_factory=list)
    first_ms: float | None = None
    own_ms: list[float] = field(default_factory=list)
    end_ms: list[float] = field(default_factory=list)
    heard: Sound = field(default_factory=lambda: np.zeros(0, np.int16))
    failed: str = ""

    @property
    def latencies(self) -> list[float]:
        return [turn.latency_ms for turn in self.turns if turn.latency_ms is not None]

    @property
    def figures(self) -> Figures:
        return figures(self.latencies)


def measure(rows: Sequence[Row], turns: int, progress: Progress) -> list[RowResult]:
    """`turns` turns of each row. A row whose server doesn't start says so in `failed`."""
    results = [RowResult(row) for row in rows]
    with ExitStack() as stack:
        mind = stack.enter_context(running(Server("mind", "model_server")))
        ports: list[int] = []
        for result in results:
            progress(f"starting {result.row.name}")
            server = placed(result.row.server, f"http://127.0.0.1:{mind}")
            try:
                ports.append(stack.enter_context(running(server)))
            except NotStarted as error:
                result.failed = str(error)
                ports.append(0)
        asyncio.run(_converse(results, ports, turns, progress))
    for result in results:
        _look_behind(result)
    return results


async def _converse(
    results: Sequence[RowResult], ports: Sequence[int], turns: int, progress: Progress
) -> None:
    spoken = questions()
    order = random.Random(0)
    async with AsyncExitStack() as stack:
        robots: list[tuple[RowResult, Robot]] = []
        for result, port in zip(results, ports, strict=True):
            if result.failed:
                continue
            progress(f"warming up {result.row.name}")
            try:
                wire = await stack.enter_async_context(opened(result.row.kind, port))
                robot = Robot(wire)
                await _warm_up(robot, result)
            except (OSError, RuntimeError) as error:
                result.failed = f"{type(error).__name__}: {error}"
                continue
            robots.append((result, robot))
        for number in range(turns):
            order.shuffle(robots)
            for result, robot in robots:
                progress(f"turn {number + 1} of {turns}: {result.row.name}")
                result.turns.append(await robot.ask(spoken[number % len(spoken)]))
        for result, robot in robots:
            result.heard = robot.heard


async def _warm_up(robot: Robot, result: RowResult) -> None:
    """The first turn is timed; more of them until one is answered at all."""
    for number in range(_WARM_UPS):
        turn = await robot.ask(questions()[0], patience_s=_WARM_UP_S)
        if number == 0:
            result.first_ms = turn.latency_ms
        if turn.latency_ms is not None:
            return
    raise RuntimeError(f"{_WARM_UPS} questions got no answer")


def _look_behind(result: RowResult) -> None:
    """How long our server took beyond what its engines and the silence cost. (With partials there
    is no saying when the ears begin.)"""
    row = result.row
    if row.kind != "ours" or row.name == "ours-partials":
        return
    tentative = int(row.server.settings.get("TENTATIVE_SILENCE_MS", 128))
    rules = Rules(tentative=samples(tentative), deaf_in_reply=False)
    ends = [turn.speech_end for turn in result.turns]
    for turn, silence in zip(result.turns, silences(result.heard, ends, rules), strict=True):
        if silence is None or turn.latency_ms is None:
            continue
        result.end_ms.append(silence.end_ms)
        result.own_ms.append(turn.latency_ms - critical_path_ms(silence, row.costs, row.reply))
