"""What may come between at any moment of a conversation."""

from __future__ import annotations

from brain.dialogue import events
from tests.dialogue.house import Robot


async def cancel(robot: Robot) -> None:
    robot.session.post(events.Cancel())


async def clear(robot: Robot) -> None:
    robot.session.post(events.Clear())


async def typed(robot: Robot) -> None:
    robot.session.post(events.Typed("what time is it"))


async def end(robot: Robot) -> None:
    robot.session.post(events.EndUtterance())


async def hang_up(robot: Robot) -> None:
    robot.session.hang_up(1000, "")


async def push_to_talk(robot: Robot) -> None:
    robot.session.configure({"turn_detection": None})
