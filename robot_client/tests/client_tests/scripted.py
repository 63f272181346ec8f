"""A scripted brain on a real loopback socket. It understands nothing: it plays its script."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

RATE = 16_000


@dataclass
class Visit:
    """One connection of the robot, and what it sent."""

    socket: ServerConnection
    path: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    sound: bytearray = field(default_factory=bytearray)
    frames: list[str | bytes] = field(default_factory=list)

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def ready(self, **fields: Any) -> None:
        engine = {"name": "scripted", "model": "none", "degraded": False}
        await self.send(
            "ready",
            **{
                "protocol": 1,
                "session_id": "s1",
                "robot_id": "r",
                "resumed": False,
                "profile": "scripted",
                "voices": ["tone"],
                "input_sample_rate": RATE,
                "output_sample_rate": RATE,
                "engines": dict.fromkeys(("vad", "stt", "llm", "tts"), engine),
                **fields,
            },
        )

    async def receive(self) -> dict[str, Any] | bytes:
        frame = await self.socket.recv()
        self.frames.append(frame)
        if isinstance(frame, bytes):
            self.sound += frame
            return frame
        message = json.loads(frame)
        self.messages.append(message)
        if message["type"] == "audio":
            self.sound += base64.b64decode(message["data"])
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """Read on until a message of this type."""
        while True:
            message = await self.receive()
            if isinstance(message, dict) and message["type"] == kind:
                return message

    async def until_gone(self) -> None:
        """Read on until the robot hangs up."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return

    async def audio(self, reply_id: int, samples: np.ndarray, seq: int = 0) -> None:
        data = base64.b64encode(samples.astype("<i2").tobytes()).decode()
        await self.send("audio_delta", data=data, sample_rate=RATE, reply_id=reply_id, seq=seq)


Script = Callable[[Visit], Awaitable[None]]


@dataclass
class ScriptedBrain:
    """Visitor n gets script n; those after the last get the last."""

    port: int = 0
    visits: list[Visit] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws?robot_id=r"


def tone(ms: float, level: float = 0.2, hz: float = 440.0) -> np.ndarray:
    t = np.arange(int(RATE * ms / 1000)) / RATE
    return (np.sin(2 * np.pi * hz * t) * level * 32767).astype(np.int16)


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[ScriptedBrain]:
    brain = ScriptedBrain()

    async def visited(socket: ServerConnection) -> None:
        assert socket.request is not None
        visit = Visit(socket, socket.request.path)
        brain.visits.append(visit)
        try:
            await scripts[min(len(brain.visits), len(scripts)) - 1](visit)
        except ConnectionClosed:
            return
        except BaseException as error:
            brain.failures.append(error)  # a script's assertion is the test's
            raise

    async with serve(visited, "127.0.0.1", 0, max_size=4 << 20) as server:
        brain.port = server.sockets[0].getsockname()[1]
        yield brain
    failures = [error for error in brain.failures if not isinstance(error, asyncio.CancelledError)]
    if failures:
        raise failures[0]


class ByEnergy:
    """Hears loud and quiet: a script's stand-in for turn-taking, with 300 ms of silence."""

    def __init__(self, visit: Visit, silence_ms: float = 300) -> None:
        self.visit = visit
        self.speaking = False
        self._limit = int(RATE * silence_ms / 1000)
        self._loud = 0
        self._quiet = 0

    async def change(self) -> bool:
        """Read on until speech begins (True), or has ended (False)."""
        while True:
            message = await self.visit.receive()
            if not isinstance(message, bytes):
                continue
            block = np.frombuffer(message, "<i2").astype(np.float32) / 32767
            if np.sqrt(np.mean(block**2)) > 0.01:
                self._loud, self._quiet = self._loud + len(block), 0
            else:
                self._loud, self._quiet = 0, self._quiet + len(block)
            if not self.speaking and self._loud >= RATE // 20:
                self.speaking = True
                return True
            if self.speaking and self._quiet >= self._limit:
                self.speaking = False
                return False
