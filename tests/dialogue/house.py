"""One session on scripted engines, in virtual time, with a robot that speaks and listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from brain.dialogue import outputs
from brain.dialogue.ahead import AheadCounters
from brain.dialogue.common import Engines, common
from brain.dialogue.config import HouseRules
from brain.dialogue.duty import Duty
from brain.dialogue.history import History
from brain.dialogue.listener import Listener
from brain.dialogue.memory import RobotMemory
from brain.dialogue.session import Session
from brain.engines.ports import LanguageModel, Synthesizer, Transcriber, VoiceDetector
from tests.dialogue.invariants import Witness
from tests.scripted_engines import (
    ScriptedDetector,
    ScriptedEndOfTurn,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)

T = TypeVar("T", bound=outputs.Output)
RATE = 16_000


def speech(ms: int) -> NDArray[np.int16]:
    """A tone that the scripted detector takes for speech. int16 at 16 kHz."""
    t = np.arange(ms * RATE // 1000) / RATE
    return (8_000 * np.sin(2 * np.pi * 220 * t)).astype(np.int16)


def silence(ms: int) -> NDArray[np.int16]:
    return np.zeros(ms * RATE // 1000, np.int16)


@dataclass
class Robot:
    """Keeps all that the session says, with its time, and holds it to the invariants."""

    session: Session
    said: list[tuple[float, outputs.Output]] = field(default_factory=list)
    witness: Witness = field(default_factory=Witness)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        while True:
            output = await self.session.outputs.get()
            self.keep(output)
            if isinstance(output, outputs.Closed):
                return

    def keep(self, output: outputs.Output) -> None:
        self.witness.see(output)
        self.said.append((asyncio.get_running_loop().time(), output))
        self._news.set()

    async def speak(self, sound: NDArray[np.int16], chunk_ms: int = 20) -> None:
        """Send sound at the pace of real time."""
        size = chunk_ms * RATE // 1000
        for start in range(0, len(sound), size):
            self.session.hear(sound[start : start + size])
            await asyncio.sleep(chunk_ms / 1000)

    async def until(self, kind: type[T], seconds: float = 30, **fields: Any) -> T:
        """The first such output, come or to come."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            for output in self.all(kind):
                if all(getattr(output, name) == value for name, value in fields.items()):
                    return output
            self._news.clear()
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait_for(self._news.wait(), left)

    def all(self, kind: type[T]) -> list[T]:
        return [output for _, output in self.said if isinstance(output, kind)]

    def time_of(self, kind: type[outputs.Output], index: int = 0) -> float:
        return [time for time, output in self.said if isinstance(output, kind)][index]


R = TypeVar("R", bound=Robot)


@asynccontextmanager
async def a_session(
    *,
    ears: Transcriber | None = None,
    mind: LanguageModel | None = None,
    mouth: Synthesizer | None = None,
    detector: VoiceDetector | None = None,
    house: HouseRules | None = None,
    memory: RobotMemory | None = None,
    mute: bool = False,
    ahead: AheadCounters | None = None,
    listener: Listener | None = None,
    duty: Duty | None = None,
    name: str = "robot-1",
    alone: bool = True,
    end_of_turn: ScriptedEndOfTurn | None = None,
    a_robot: Callable[[Session], R] = Robot,  # type: ignore[assignment]
) -> AsyncIterator[R]:
    """A session and its robot; checks at the end that nothing is left running.

    `alone` False: there are others, and so nobody can tell whose a task is.
    """
    engines = Engines(
        detector or ScriptedDetector(),
        ears or ScriptedTranscriber(["hello robot"]),
        mind or ScriptedMind(["Hello there, nice to meet you."]),
        None if mute else mouth or ScriptedMouth(),
        end_of_turn,
    )
    house = house or HouseRules()
    shared = common(engines, house)
    shared = replace(
        shared,
        ahead=ahead or shared.ahead,
        listener=listener or shared.listener,
        duty=duty or shared.duty,
    )
    session = Session("s-1", name, shared, house, memory or RobotMemory(History()))
    robot = a_robot(session)
    running = asyncio.ensure_future(session.run())
    listening = asyncio.ensure_future(robot.listen())
    try:
        yield robot
    finally:
        session.hang_up(1000, "")
        await asyncio.wait_for(asyncio.gather(running, listening), 30)
    robot.witness.closed()
    here = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not here]
    assert not alone or not left, "a task leaked"
