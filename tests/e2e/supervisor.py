"""A supervisor at `/converse`: a brain on scripted engines, and what it says turn by turn."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.dialogue.config import HouseRules, SessionConfig
from brain.engines.ports import ToolSpec
from tests.e2e.sockets import Robot, a_brain, a_robot, tone

HOUSE = HouseRules(
    defaults=SessionConfig(
        instructions="You are Robo.", tools=(ToolSpec("dance", "", {"type": "object"}),)
    ),
    emotions=True,
)


def converse(address: str) -> str:
    return address.removesuffix("/ws") + "/converse"


@contextlib.asynccontextmanager
async def a_supervisor(query: str = "?robot_id=r1", **brain: Any) -> AsyncIterator[Robot]:
    """A supervisor on `/converse` of a brain of its own, greeted."""
    async with (
        a_brain(**{"house": HOUSE, **brain}) as address,
        a_robot(converse(address), query) as robot,
    ):
        assert await robot.receive() == {"type": "listening"}
        yield robot


async def ask(robot: Robot, sound: NDArray[np.int16] | None = None) -> None:
    await robot.speak(tone(600) if sound is None else sound)
    await robot.send(type="end_utterance")


async def turn(robot: Robot, seconds: float = 10) -> list[dict[str, Any]]:
    """All messages up to the next `listening`."""
    begun = len(robot.seen)
    await robot.next("listening", seconds)
    return robot.seen[begun:]


def names(messages: list[dict[str, Any]]) -> list[str]:
    """Types, without repetitions."""
    kinds = [message["type"] for message in messages]
    return [kind for i, kind in enumerate(kinds) if i == 0 or kinds[i - 1] != kind]


async def settled(robot: Robot) -> list[str]:
    """Everything that was under way has been told: types since the last look."""
    begun = len(robot.seen)
    await robot.send(type="ping", t="settled?")
    await robot.next("pong")
    return [message["type"] for message in robot.seen[begun:-1]]
