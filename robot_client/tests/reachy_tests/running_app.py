"""The stand-in app with the local handler, run in this process so that a test sees its insides."""

from __future__ import annotations

import argparse
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from reachy_mini import ReachyMini

from robot_client.reachy.launch import put_in_place
from robot_client.reachy.server import LocalServer

ARGS = argparse.Namespace(
    no_camera=False, head_tracker=None, local_vision=False, gradio=False, debug=False,
    robot_name=None,
)  # fmt: skip


@dataclass
class RunningApp:
    """`page` is the settings page as a browser would call it."""

    robot: ReachyMini
    page: TestClient
    ended: list[BaseException] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    @property
    def stream(self) -> Any:
        return self.robot.parts["local_stream"]

    @property
    def body(self) -> Any:
        """The movement manager."""
        return self.robot.parts["movement_manager"]

    @property
    def wobbler(self) -> Any:
        return self.robot.parts["head_wobbler"]

    @property
    def player(self) -> Any:
        return self.robot.media.audio.player

    def say(self, sound: NDArray[np.float32]) -> float:
        """Speak to the robot. Returns when the last sample will have been spoken."""
        return self.robot.media.audio.microphone.say(sound)

    def until(self, what: str, true: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not true():
            assert not self.ended, self.ended
            assert time.monotonic() < deadline, f"not so: {what}; shown: {self.stream.shown[-5:]}"
            time.sleep(0.01)

    def shown(self, role: str, after: float = 0.0) -> list[str]:
        """Texts that were shown in this role after a moment, tool results left out."""
        return [
            message["content"]
            for at, message in self.stream.shown
            if at >= after and message["role"] == role and "metadata" not in message
            if isinstance(message["content"], str)
        ]

    def answers(self, after: float) -> list[str]:
        """What the robot said after a moment, as text."""
        return [text for text in self.shown("assistant", after) if not text.startswith("[")]

    def used(self, tool: str | None = None, after: float = 0.0) -> list[str]:
        """The results of this tool, or of any, that were shown after a moment."""
        return [
            message["content"]
            for at, message in self.stream.shown
            if at >= after and "metadata" in message
            if tool is None or message["metadata"]["title"].endswith(f" {tool}")
        ]

    def pictures(self) -> list[Any]:
        """What was shown that isn't text."""
        contents = [message["content"] for _at, message in self.stream.shown]
        return [content for content in contents if not isinstance(content, str)]

    def spoken_ms(self, after: float = 0.0) -> float:
        """How much that isn't silence has come out of the speaker after a moment."""
        loud = 0
        for at, sound in self.player.heard():
            if at >= after:
                loud += int(np.count_nonzero(np.abs(sound) > 1e-3))
        return loud / 16

    def until_quiet(self, seconds: float = 30) -> None:
        """Wait until the speaker has had nothing to play for half a second."""
        quiet_since = [time.monotonic()]

        def quiet() -> bool:
            if self.player.queued_s() > 0:
                quiet_since[0] = time.monotonic()
            return time.monotonic() - quiet_since[0] > 0.5

        self.until("quiet", quiet, seconds)


@contextmanager
def running_app(server: LocalServer, frame: NDArray[np.uint8]) -> Iterator[RunningApp]:
    """The app's `run` on a thread, as the robot's dashboard does it; stopped by its event.

    frame: what the camera sees, BGR.
    """
    put_in_place(server)
    main = importlib.import_module("reachy_mini_conversation_app.main")
    settings, stop = FastAPI(), threading.Event()
    robot = ReachyMini()
    robot.media.frame = frame
    running = RunningApp(robot, TestClient(settings))

    def run() -> None:
        try:
            main.run(ARGS, robot=robot, app_stop_event=stop, settings_app=settings)
        except BaseException as error:  # noqa: BLE001  the test's thread looks at it
            running.ended.append(error)

    thread = threading.Thread(target=run, name="the app")
    thread.start()
    try:
        running.until("started", lambda: "local_stream" in robot.parts)
        running.until("recording", lambda: running.stream._asyncio_loop is not None)
        yield running
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive(), "the app doesn't end"
        assert not running.ended, running.ended
