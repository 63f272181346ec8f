"""`brain bench turns`: how soon a robot is answered, measured at the robot, over a real socket.

A brain of its own is started as a child process, and spoken to at the pace of real time: 20 ms
frames, a speaker that no pocket model was trained on, room noise at -60 dBFS throughout. Latency is
from the sending of the last sample of speech to the arrival of the first sample of the reply,
end-pointing included. The floor that it is compared with is the silence that ends a turn.
"""

from __future__ import annotations

import asyncio
import json as json_text
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from brain.audio.pcm import to_bytes, to_int16
from brain.engines.ports import EngineError
from brain.ops.check_ears import RATE, Speaker
from brain.ops.check_sounds import pink
from brain.ops.check_voices import speak
from brain.ops.child_brain import child_brain
from brain.settings import Settings

TARGET_MS = 1_200
_SPEAKER = Speaker("en-us+f5", 163, 46)
_SENTENCES = (
    "Hello robot.",
    "What is your name?",
    "How are you?",
    "Tell me a joke.",
    "What can you do?",
    "Good morning.",
    "Who made you?",
)
_CHUNK = RATE // 50
_NOISE_DBFS = -60
_LOUD = 0.01
_STAGES = ("endpoint", "stt", "llm_first_token", "first_clause", "tts_first_audio")


@dataclass(frozen=True)
class Turn:
    """One turn that was measured, in ms. `stages` are the server's own timings."""

    sentence: str
    heard: str
    said: str
    latency_ms: float
    stages: dict[str, float | None]


def run(settings: Settings, *, json: bool, turns: int = 21) -> int:
    """Measure `turns` turns of the profile and print them; 1 if the median misses the target."""
    console = Console(stderr=True)
    try:
        recordings = [_recording(text, seed) for seed, text in enumerate(_SENTENCES)]
        with console.status("starting a brain") as status, child_brain(settings) as (host, port):
            address = f"ws://{host}:{port}"
            measured = asyncio.run(_measure(address, recordings, turns, status.update))
    except (EngineError, OSError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    latencies = [turn.latency_ms for turn in measured]
    silence = settings.vad_silence_ms
    figures = {
        "profile": settings.brain_profile,
        "turns": len(measured),
        "median_ms": round(float(np.median(latencies)), 1),
        "p95_ms": round(float(np.percentile(latencies, 95)), 1),
        "silence_ms": silence,
        "median_over_silence": round(float(np.median(latencies)) / silence, 2),
        "stages_median_ms": {stage: _median(measured, stage) for stage in _STAGES},
        "target_ms": TARGET_MS,
        "met": bool(np.median(latencies) < TARGET_MS),
    }
    if json:
        print(json_text.dumps({**figures, "each": [asdict(turn) for turn in measured]}, indent=2))
    else:
        _show(figures, measured)
    return 0 if figures["met"] else 1


def _recording(text: str, seed: int) -> tuple[str, NDArray[np.int16], int]:
    """The sentence, its sound in a room (int16 at 16 kHz), and the end of its speech (samples)."""
    voice = speak(text, _SPEAKER)
    loud = np.flatnonzero(np.abs(voice) > _LOUD * np.abs(voice).max())
    end = int(loud[-1]) + 1
    lead, trail = RATE // 2, 8 * RATE
    sound = np.zeros(lead + end + trail, np.float32)
    sound[lead : lead + end] = 0.3 * voice[:end] / np.abs(voice).max()
    noise = pink(np.random.default_rng(seed), len(sound), RATE) * 10 ** (_NOISE_DBFS / 20)
    return text, to_int16(sound + noise), lead + end


# -- measuring ---------------------------------------------------------------------------------


async def _measure(
    address: str,
    recordings: Sequence[tuple[str, NDArray[np.int16], int]],
    turns: int,
    progress: Callable[[str], None],
) -> list[Turn]:
    async with connect(f"{address}/ws?robot_id=bench", max_size=None) as robot:
        measured = []
        for i in range(turns + 1):  # the first one warms up
            progress(f"turn {i} of {turns}")
            turn = await _turn(robot, *recordings[i % len(recordings)])
            if i and turn is not None:
                measured.append(turn)
    if len(measured) < turns // 2:
        raise RuntimeError(f"only {len(measured)} of {turns} turns were answered")
    return measured


async def _turn(
    robot: ClientConnection, sentence: str, sound: NDArray[np.int16], speech_end: int
) -> Turn | None:
    """Say one sentence; None if nothing was understood. Returns when the reply has been played."""
    clock = time.perf_counter
    spoken_at = first_at = 0.0
    heard = said = ""
    stages: dict[str, float | None] = {}

    async def speak_on() -> None:
        nonlocal spoken_at
        start = clock()
        for i in range(0, len(sound), _CHUNK):
            await asyncio.sleep(start + i / RATE - clock())
            await robot.send(to_bytes(sound[i : i + _CHUNK]))
            if i < speech_end <= i + _CHUNK:
                spoken_at = clock()

    speaking = asyncio.ensure_future(speak_on())
    try:
        while True:
            message = json_text.loads(await asyncio.wait_for(robot.recv(), 30))
            if message["type"] == "audio_delta" and not first_at:
                first_at = clock()
            elif message["type"] == "transcript_user":
                heard = message["text"]
            elif message["type"] == "transcript_assistant":
                said = message["text"]
            elif message["type"] == "error":
                return None
            elif message["type"] == "reply_done":
                stages = message["timings_ms"]
                break
    finally:
        speaking.cancel()
    await asyncio.sleep(0.5)  # the tail in which a half-duplex brain is still deaf
    if not first_at:
        return None
    return Turn(sentence, heard, said, round((first_at - spoken_at) * 1000, 1), stages)


# -- showing -----------------------------------------------------------------------------------


def _median(measured: Sequence[Turn], stage: str) -> float | None:
    values = [value for turn in measured if (value := turn.stages.get(stage)) is not None]
    return round(float(np.median(values)), 1) if values else None


def _show(figures: dict[str, Any], measured: Sequence[Turn]) -> None:
    table = Table(title=f"turns of the profile {figures['profile']}, ms, at the robot")
    for column in ("said to the robot", "heard", "answer", "first sound"):
        table.add_column(column, justify="right" if column == "first sound" else "left")
    for turn in measured:
        table.add_row(turn.sentence, turn.heard, turn.said, f"{turn.latency_ms:.0f}")
    console = Console()
    console.print(table)
    console.print(
        "stages (median): "
        + ", ".join(f"{name} {value}" for name, value in figures["stages_median_ms"].items())
    )
    console.print(
        f"last speech to first sound: median {figures['median_ms']:.0f} ms, "
        f"p95 {figures['p95_ms']:.0f} ms over {figures['turns']} turns; "
        f"{figures['median_over_silence']} x the {figures['silence_ms']} ms of silence; "
        f"target < {TARGET_MS} ms: {'met' if figures['met'] else 'MISSED'}"
    )
