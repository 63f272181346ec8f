"""Robots that are connected and send sound at the pace of real time: as cheap as they can be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from benchmarks.listening.sounds import CHUNK

_CHUNK_S = 0.02
_AT_ONCE = 25  # chunks of the sound from before the measuring, between two breaths


@dataclass
class Robot:
    """One robot; times by the loop's clock, s.

    `sent`: of each chunk. `started`: when the brain said that a turn has begun. `answered`: when
    the first sound of each reply came.
    """

    socket: ClientConnection
    sent: list[float] = field(default_factory=list)
    started: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    async def listen(self) -> None:
        """To all that the brain says."""
        clock = asyncio.get_running_loop().time
        async for frame in self.socket:
            message = json.loads(frame)
            if message["type"] == "speech_started":
                self.started.append(clock())
            elif message["type"] == "audio_delta" and message["seq"] == 0:
                self.answered.append(clock())
            elif message["type"] == "error":
                self.problems.append(message["code"])


def wire_frames(sound: NDArray[np.int16], *, binary: bool) -> list[bytes]:
    """The WebSocket frames of `sound`, 20 ms each, as a robot's `audio` messages or binary."""
    frames = []
    for start in range(0, len(sound), CHUNK):
        pcm = sound[start : start + CHUNK].astype("<i2").tobytes()
        message = json.dumps({"type": "audio", "data": b64encode(pcm).decode()}).encode()
        frame = Frame(Opcode.BINARY, pcm) if binary else Frame(Opcode.TEXT, message)
        frames.append(frame.serialize(mask=True))
    return frames


@contextlib.asynccontextmanager
async def connected(address: str, count: int) -> AsyncIterator[list[Robot]]:
    """So many robots, which listen until the end."""
    async with contextlib.AsyncExitStack() as stack:
        robots = []
        for number in range(count):
            # As the robots' own client does it: sound doesn't shrink.
            url = f"{address}?robot_id=robot-{number}"
            socket = await stack.enter_async_context(connect(url, compression=None, proxy=None))
            robots.append(Robot(socket))
        listening = [asyncio.ensure_future(robot.listen()) for robot in robots]
        try:
            yield robots
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)


async def before(robots: list[Robot], frames: list[bytes], seconds: float) -> None:
    """Send so much sound, faster than real time: what a brain keeps of it, it has then."""
    for start in range(0, round(seconds / _CHUNK_S), _AT_ONCE):
        for robot in robots:
            for chunk in range(start, start + _AT_ONCE):
                robot.socket.transport.write(frames[chunk % len(frames)])
        await asyncio.sleep(_CHUNK_S)


async def talk(
    robots: list[Robot], frames: list[bytes], seconds: float, *, over_s: float = _CHUNK_S
) -> None:
    """Each robot sends all of `frames` over and over, at real time, for `seconds`.

    They begin at moments of their own within the first `over_s`.
    """
    clock, choose = asyncio.get_running_loop().time, random.Random(1)
    began = clock() + 0.01
    # (Who sends next, in a round of 20 ms, is the same in each: no heap is needed.)
    starts = [over_s * choose.random() for _ in robots]
    order = sorted(range(len(robots)), key=lambda i: starts[i] % _CHUNK_S)
    for round_ in range(round(seconds / _CHUNK_S)):
        for i in order:
            chunk = round_ - int(starts[i] / _CHUNK_S)
            if chunk < 0:
                continue
            due = began + round_ * _CHUNK_S + starts[i] % _CHUNK_S
            if (early := due - clock()) > 0:
                await asyncio.sleep(early)
            robots[i].socket.transport.write(frames[chunk % len(frames)])
            robots[i].sent.append(clock())
