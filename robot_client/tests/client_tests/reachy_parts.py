"""The app's parts as the core meets them, kept small; reachy_tests has the whole app's stand-in."""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from client_tests.scripted import ScriptedBrain, Visit
from robot_client.address import brain_address
from robot_client.pcm import to_bytes
from robot_client.reachy.core import HandlerCore
from robot_client.reachy.server import LocalServer

DROPS_WITHIN_S = 0.15  # the app's movement manager drops a second toggle within this


@dataclass
class Manager:
    """Drops toggles that come too fast, as the app's does."""

    clock: Callable[[], float] = time.monotonic
    idle: bool = False
    listening: bool = False
    toggles: list[bool] = field(default_factory=list)
    dropped: int = 0
    _at: float = -1.0

    def set_listening(self, listening: bool) -> None:
        if self.clock() - self._at < DROPS_WITHIN_S:
            self.dropped += 1
            return
        self._at = self.clock()
        self.listening = listening
        self.toggles.append(listening)

    def is_idle(self) -> bool:
        return self.idle


@dataclass
class Wobbler:
    fed: list[str] = field(default_factory=list)
    resets: int = 0

    def feed(self, delta_b64: str) -> None:
        self.fed.append(delta_b64)

    def reset(self) -> None:
        self.resets += 1


@dataclass
class ScriptedApp:
    """Implements `App`: tools are functions that the test gives."""

    tools: dict[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    chosen: str | None = None
    keyless: bool = False

    def tool_specs(self) -> Sequence[Mapping[str, Any]]:
        return [
            {"type": "function", "name": name, "description": f"{name}s", "parameters": {}}
            for name in self.tools
        ]

    async def dispatch(self, name: str, args: str, deps: Any) -> Mapping[str, Any]:
        import json

        result = self.tools[name](json.loads(args))
        return await result if asyncio.iscoroutine(result) else result

    def instructions(self) -> str:
        if self.chosen == "broken":
            sys.exit(1)
        return f"You are {self.chosen or 'Reachy'}."

    def voice(self) -> str:
        return "cedar"

    def profile(self) -> str | None:
        return self.chosen

    def choose_profile(self, profile: str | None) -> None:
        self.chosen = profile

    def need_no_key(self) -> None:
        self.keyless = True


@dataclass
class Robot:
    """A core in a face of plain values, and what the app would see of it."""

    server: LocalServer
    app: ScriptedApp = field(default_factory=ScriptedApp)
    speaker_rate: Any = 16_000
    gradio_mode: bool = False
    clock: Callable[[], float] = time.monotonic
    cleared: int = 0
    emitted: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.output_queue: asyncio.Queue[Any] = asyncio.Queue()
        self._clear_queue: Callable[[], None] | None = self._clear
        self.manager = Manager()
        self.wobbler = Wobbler()
        self.frame = np.zeros((2, 2, 3), np.uint8)
        self.frame[..., 0] = 255  # blue, in OpenCV's order
        media = SimpleNamespace(get_output_audio_samplerate=lambda: self.speaker_rate)
        self.deps = SimpleNamespace(
            reachy_mini=SimpleNamespace(media=media),
            movement_manager=self.manager,
            head_wobbler=self.wobbler,
            camera_worker=SimpleNamespace(get_latest_frame=lambda: self.frame),
        )
        self.core = self.another_core()

    def another_core(self) -> HandlerCore:
        """One for the parts as they are now."""
        return HandlerCore(
            self,
            self.deps,
            self.server,
            self.app,
            gradio_mode=self.gradio_mode,
            wrap=lambda message: message,
            show_image=lambda rgb: rgb,
            clock=self.clock,
        )

    def _clear(self) -> None:
        self.cleared += 1
        self.output_queue = asyncio.Queue()  # as the app's console does

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [item for item in self.emitted if isinstance(item, dict)]

    @property
    def frames(self) -> list[tuple[int, np.ndarray]]:
        return [item for item in self.emitted if isinstance(item, tuple)]

    async def play(self) -> None:
        """The app's loop: take whatever comes, until cancelled."""
        while True:
            if (item := await self.core.emit()) is not None:
                self.emitted.append(item)

    async def until(self, true: Callable[[], Any], limit_s: float = 10.0) -> None:
        """Wait until something holds."""

        async def wait() -> None:
            while not true():  # noqa: ASYNC110  what is waited for is plain state
                await asyncio.sleep(0.005)

        await asyncio.wait_for(wait(), limit_s)


def at(brain: ScriptedBrain, **fields: Any) -> LocalServer:
    return LocalServer(brain_address("127.0.0.1", brain.port, robot_id="r"), **fields)


@asynccontextmanager
async def running(robot: Robot) -> AsyncIterator[Robot]:
    tasks = [asyncio.create_task(robot.core.start_up()), asyncio.create_task(robot.play())]
    try:
        yield robot
    finally:
        await robot.core.shutdown()
        await asyncio.wait_for(tasks[0], 5)  # start_up returns once it is shut down
        tasks[1].cancel()
        await asyncio.wait(tasks)
        left = [task for task in asyncio.all_tasks() if "robot-client" in task.get_name()]
        assert not left


async def greet(visit: Visit, **fields: Any) -> dict[str, Any]:
    session = await visit.until("session")
    await visit.ready(**{"output_sample_rate": 24_000, **fields})
    return session


async def say(visit: Visit, reply_id: int, sound: np.ndarray, rate: int = 24_000) -> None:
    data = base64.b64encode(to_bytes(sound)).decode()
    await visit.send("audio_delta", data=data, sample_rate=rate, reply_id=reply_id, seq=0)
