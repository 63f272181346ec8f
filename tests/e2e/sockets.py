"""A brain on a real socket, and a robot that talks to it. The engines are the caller's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from brain.api import converse, local_socket, wire_out
from brain.api.counted_listener import CountedListener
from brain.api.token import Tokens
from brain.dialogue.common import Engines
from brain.dialogue.config import HouseRules
from brain.dialogue.sessions import Sessions
from brain.engines.ports import LanguageModel, Synthesizer, Transcriber, VoiceDetector
from brain.web import http_server
from tests.scripted_engines import (
    ScriptedDetector,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)

RATE = 16_000


def tone(ms: int) -> NDArray[np.int16]:
    """What the scripted detector takes for speech. int16 at 16 kHz."""
    t = np.arange(ms * RATE // 1000) / RATE
    return (8_000 * np.sin(2 * np.pi * 220 * t)).astype(np.int16)


def quiet(ms: int) -> NDArray[np.int16]:
    return np.zeros(ms * RATE // 1000, np.int16)


class Robot:
    """A robot's end of the socket. Keeps all messages that it was sent in `seen`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []
        self.sound = bytearray()

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def speak(self, sound: NDArray[np.int16], *, paced: bool = False) -> None:
        """Send sound in 20 ms chunks; as fast as it goes unless `paced`."""
        for start in range(0, len(sound), 320):
            data = b64encode(sound[start : start + 320].astype("<i2").tobytes()).decode()
            await self.send(type="audio", data=data)
            if paced:
                await asyncio.sleep(0.02)

    async def next(self, kind: str, seconds: float = 10, **fields: Any) -> dict[str, Any]:
        """The next message of this type (and with these fields); others are kept in `seen`."""
        while True:
            message = await asyncio.wait_for(self.receive(), seconds)
            if message["type"] == kind and all(message.get(k) == v for k, v in fields.items()):
                return message

    async def receive(self) -> dict[str, Any]:
        frame = await self.connection.recv()
        if isinstance(frame, bytes):
            self.sound += frame
            return {"type": "(binary)"}
        message: dict[str, Any] = json.loads(frame)
        self.seen.append(message)
        return message

    async def close_code(self, seconds: float = 10) -> int | None:
        """Read until the brain closes; the code it gave."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.wait_for(self.receive(), seconds)
        return self.connection.close_code


@contextlib.asynccontextmanager
async def a_brain(
    *,
    detector: VoiceDetector | None = None,
    ears: Transcriber | None = None,
    mind: LanguageModel | None = None,
    mouth: Synthesizer | None = None,
    house: HouseRules | None = None,
    token: str = "",
    idle_limit_s: float = 60,
    max_sessions: int = 300,
    converse_vad: bool = False,
) -> AsyncIterator[str]:
    """A brain with scripted engines on a free loopback port; yields ws://HOST:PORT/ws.

    `/converse` is beside it, on the same sessions.
    """
    engines = Engines(
        detector or ScriptedDetector(),
        ears or ScriptedTranscriber(["hello robot"], seconds=0.02),
        mind or ScriptedMind(["Hello there."], first_seconds=0.02, token_seconds=0.0),
        mouth or ScriptedMouth(seconds_per_char=0.02, delay=0.01),
    )
    sessions = Sessions(
        engines, house or HouseRules(), max_sessions=max_sessions, per_address=max_sessions
    )
    scripted = wire_out.EngineOut(name="scripted", model="", degraded=False)
    described = local_socket.House(
        "test",
        engines.mouth.voices if engines.mouth else (),
        wire_out.EnginesOut(vad=scripted, stt=scripted, llm=scripted, tts=scripted),
    )
    serves = asyncio.Event()
    serves.set()
    app = FastAPI()
    app.include_router(
        local_socket.router(
            sessions,
            house=lambda: described,
            serves=serves,
            tokens=Tokens([token]),
            idle_limit_s=idle_limit_s,
        )
    )
    app.include_router(
        converse.router(sessions, vad=converse_vad, serves=serves, tokens=Tokens([token]))
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as `listener_of` does
        server: uvicorn.Server = http_server(app)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for this
            await asyncio.sleep(0.01)
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
        finally:
            await sessions.drain(0)
            server.should_exit = True
            await serving
    assert sessions.active == 0, "a session outlived its socket"


@contextlib.asynccontextmanager
async def a_robot(
    address: str, query: str = "?robot_id=r1", **options: Any
) -> AsyncIterator[Robot]:
    async with connect(f"{address}{query}", max_size=None, **options) as connection:
        yield Robot(connection)


@contextlib.asynccontextmanager
async def a_server(
    app: FastAPI, *, tls: ssl.SSLContext | None = None, per_address: int = 1_000
) -> AsyncIterator[str]:
    """`app` as the brain serves it, on a free loopback port; yields http://HOST:PORT.

    `tls`: it is served with it, and the address is https://. `per_address`: connections.
    """
    plain = socket.create_server(("127.0.0.1", 0))
    with CountedListener(plain, per_address=per_address) as listener:
        server: uvicorn.Server = http_server(app, tls=tls)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for this
            await asyncio.sleep(0.01)
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
