"""Stand-in of the robot's SDK: a robot that only notes what is done to it."""

from __future__ import annotations

from typing import Any

from reachy_mini.media.media_manager import MediaManager

__all__ = ["ReachyMini"]


class Client:
    """The line to the daemon."""

    def __init__(self) -> None:
        self.connected = True

    def get_status(self) -> dict[str, Any]:
        return {"simulation_enabled": False}

    def disconnect(self) -> None:
        self.connected = False


class ReachyMini:
    """`parts` is for the tests: what the app built around this robot, by name."""

    def __init__(self, robot_name: str | None = None) -> None:
        self.robot_name = robot_name
        self.client = Client()
        self.media = MediaManager()
        self.parts: dict[str, Any] = {}
