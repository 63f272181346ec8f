"""Saying a clip to a brain over `/ws`, as a robot does, and noting what comes back and when."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from brain.audio.pcm import from_bytes, to_bytes
from brain.ops.doctor.local_brain import unchecked_tls

CLIP = Path(__file__).parent / "clip.wav"
CLIP_SAYS = "What is your name?"
RATE = 16_000
_CHUNK = RATE // 50
_TRAIL_S = 30
_LOUD = 0.02
_PATIENCE_S = 60.0
"""For the next word of the brain: an engine's own time-out is shorter."""


@dataclass
class Outcome:
    """What came of the clip. Times are ms after its last sample of speech; None: it didn't come.

    `stages` are the server's own `timings_ms`; `engines` as its `ready` tells them; `sound_s` the
    length of the spoken reply, `loudest` 0..1; `trouble`: why the brain couldn't be talked to.
    """

    heard: str = ""
    said: str = ""
    reason: str = ""
    profile: str = ""
    heard_ms: float | None = None
    first_sound_ms: float | None = None
    whole_ms: float | None = None
    sound_s: float = 0.0
    loudest: float = 0.0
    stages: dict[str, float | None] = field(default_factory=dict)
    engines: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    trouble: str = ""


def clip() -> tuple[NDArray[np.int16], int]:
    """The sound, and how many samples of it there are up to the end of its speech."""
    with wave.open(str(CLIP), "rb") as file:
        sound = from_bytes(file.readframes(file.getnframes()))
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > _LOUD * 32768)
    return sound, int(loud[-1]) + 1


async def talk(address: str, token: str) -> Outcome:
    """Say the clip to the brain at `address` (ws://host:port), at the pace of real time.

    As a robot without a name, of which nothing is kept. Never raises for what the brain does.
    """
    outcome = Outcome()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    secure = unchecked_tls() if address.startswith("wss:") else None
    try:
        async with connect(
            f"{address}/ws", max_size=None, ssl=secure, additional_headers=headers, proxy=None
        ) as robot:
            await _turn(robot, outcome)
    except ConnectionClosed as error:
        closed = error.rcvd
        told = f"{closed.code} {closed.reason}" if closed is not None else "without a word"
        outcome.trouble = f"the brain hung up: {told}"
    except (TimeoutError, asyncio.TimeoutError):
        outcome.trouble = f"the brain said nothing for {_PATIENCE_S:g} s"
    except (OSError, InvalidHandshake) as error:
        outcome.trouble = f"the brain can't be reached at {address}: {error}"
    return outcome


async def _turn(robot: ClientConnection, outcome: Outcome) -> None:
    sound, speech_end = clip()
    ready = await _next(robot)
    outcome.profile, outcome.engines = ready.get("profile", ""), ready.get("engines", {})
    padded = np.concatenate([sound, np.zeros(_TRAIL_S * RATE, np.int16)])
    started = time.perf_counter()
    speech_ended = started + speech_end / RATE

    async def speak_on() -> None:
        for i in range(0, len(padded), _CHUNK):
            await asyncio.sleep(started + i / RATE - time.perf_counter())
            await robot.send(to_bytes(padded[i : i + _CHUNK]))

    speaking = asyncio.ensure_future(speak_on())
    calls = 0
    try:
        while True:
            message = await _next(robot)
            ms = round((time.perf_counter() - speech_ended) * 1000, 1)
            kind = message["type"]
            if kind == "transcript_user":
                outcome.heard, outcome.heard_ms = message["text"], ms
            elif kind == "audio_delta":
                if outcome.first_sound_ms is None:
                    outcome.first_sound_ms = ms
                _measure(message, outcome)
            elif kind == "transcript_assistant":
                outcome.said = f"{outcome.said} {message['text']}".strip()
            elif kind == "tool_call":
                calls += 1
                result = {"type": "tool_result", "call_id": message["call_id"], "output": "ok"}
                await robot.send(json.dumps(result))
            elif kind == "error":
                outcome.errors.append(f"{message['code']}: {message['message']}")
                if not outcome.heard:
                    return
            elif kind == "reply_done":
                outcome.stages = outcome.stages or message["timings_ms"]
                outcome.reason, outcome.whole_ms = message["reason"], ms
                if not calls:
                    return
                calls = 0  # one more reply speaks about them
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


def _measure(message: dict[str, Any], outcome: Outcome) -> None:
    samples = from_bytes(base64.b64decode(message["data"]))
    outcome.sound_s += len(samples) / message["sample_rate"]
    if len(samples):
        outcome.loudest = max(
            outcome.loudest, float(np.abs(samples.astype(np.int32)).max()) / 32768
        )


async def _next(robot: ClientConnection) -> dict[str, Any]:
    while True:
        frame = await asyncio.wait_for(robot.recv(), _PATIENCE_S)
        if isinstance(frame, str):
            message: dict[str, Any] = json.loads(frame)
            return message
