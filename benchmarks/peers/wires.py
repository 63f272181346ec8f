"""How each server is spoken to: microphone sound up, the reply's sound down."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.peers.sound import Sound

_OPEN_S = 30.0


class Wire(Protocol):
    """A connection to a server."""

    async def say(self, frame: Sound) -> None:
        """Send a frame of the microphone: int16 at 16 kHz."""

    async def hear(self) -> Sound | dict[str, Any]:
        """The next thing that comes: sound of the reply (int16 at 16 kHz), or another message."""


class _Socket:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: dict[str, Any]) -> None:
        await self.socket.send(json.dumps(message))

    async def until(self, kind: str) -> dict[str, Any]:
        """The first message of this type; what comes before is dropped."""
        while True:
            message = await asyncio.wait_for(self.socket.recv(), _OPEN_S)
            if isinstance(message, str):
                told: dict[str, Any] = json.loads(message)
                if told["type"] == kind:
                    return told
                if told["type"] == "error":
                    raise RuntimeError(f"the server refuses: {message}")


class OurWire(_Socket):
    """`/ws`, in the form that every robot speaks: JSON with base64, up and down."""

    @classmethod
    async def opened(cls, socket: ClientConnection) -> OurWire:
        wire = cls(socket)
        await wire.until("ready")
        # No robot here hears itself, so nobody has to be deaf while it speaks.
        await wire.send({"type": "session", "echo_cancellation": True})
        await wire.until("session_updated")
        return wire

    async def say(self, frame: Sound) -> None:
        data = base64.b64encode(frame.tobytes()).decode()
        await self.send({"type": "audio", "data": data})

    async def hear(self) -> Sound | dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.recv())
        if message["type"] == "audio_delta":
            return _decoded(message["data"])
        return message


class RealtimeWire(_Socket):
    """speech-to-speech: OpenAI's realtime protocol. A session that asks for nothing gets the
    server's own settings, and 16 kHz."""

    @classmethod
    async def opened(cls, socket: ClientConnection) -> RealtimeWire:
        wire = cls(socket)
        await wire.until("session.created")
        return wire

    async def say(self, frame: Sound) -> None:
        data = base64.b64encode(frame.tobytes()).decode()
        await self.send({"type": "input_audio_buffer.append", "audio": data})

    async def hear(self) -> Sound | dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.recv())
        if message["type"] == "response.output_audio.delta":
            return _decoded(message["delta"])
        return message


class RawWire(_Socket):
    """pipecat, with a serialiser of ours: raw PCM both ways, the least that a wire can cost."""

    @classmethod
    async def opened(cls, socket: ClientConnection) -> RawWire:
        return cls(socket)

    async def say(self, frame: Sound) -> None:
        await self.socket.send(frame.tobytes())

    async def hear(self) -> Sound | dict[str, Any]:
        message = await self.socket.recv()
        if isinstance(message, bytes):
            return np.frombuffer(message, "<i2").astype(np.int16)
        return {"type": "text", "text": message}


_WIRES: Mapping[str, tuple[str, Callable[[ClientConnection], Awaitable[Wire]]]] = {
    "ours": ("/ws?robot_id=bench", OurWire.opened),
    "s2s": ("/v1/realtime", RealtimeWire.opened),
    "pipecat": ("/", RawWire.opened),
}


@asynccontextmanager
async def opened(kind: str, port: int) -> AsyncIterator[Wire]:
    """Connected to a server of this kind on loopback, ready to be spoken to."""
    path, begin = _WIRES[kind]
    # (A server that was left alone while others were measured answers no ping in time.)
    address = f"ws://127.0.0.1:{port}{path}"
    async with connect(address, max_size=None, compression=None, ping_interval=None) as socket:
        yield await begin(socket)


def _decoded(data: str) -> Sound:
    return np.frombuffer(base64.b64decode(data), "<i2").astype(np.int16)
