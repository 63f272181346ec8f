"""What the robots of this benchmark hear, and what the brain must make of it, and when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import to_int16
from brain.dialogue.config import HouseRules, SessionConfig, rules
from brain.dialogue.effects import Effect, Send
from brain.dialogue.events import Sound, Transcribed
from brain.dialogue.listener import Listener
from brain.dialogue.microphone import Microphone
from brain.dialogue.outputs import SpeechStarted, SpeechStopped
from brain.dialogue.state import FRAME, RATE, State
from brain.dialogue.turn import step
from brain.engines.vad.silero import SileroDetector
from brain.ops.check_ears import Speaker
from brain.ops.check_sounds import pink
from brain.ops.check_voices import speak

__all__ = ["CHUNK", "FRAME", "Heard", "SileroDetector", "heard", "room", "speech"]

CHUNK = RATE // 50  # 20 ms
_ROOM_DBFS = -60
_SPEAKER = Speaker("en-us+f5", 163, 46)
_SETTLING_S = 0.3


@dataclass(frozen=True)
class Heard:
    """The chunk (from 0) with which a turn is certain to have begun (`started`), or to be over."""

    started: list[int]
    stopped: list[int]


def room(seconds: float) -> NDArray[np.int16]:
    """Pink noise at -60 dBFS, int16 at 16 kHz: a quiet room, and no zeros."""
    noise = pink(np.random.default_rng(7), round(seconds * RATE), RATE)
    return to_int16(noise * 10 ** (_ROOM_DBFS / 20))


def speech(seconds: float) -> NDArray[np.int16]:
    """One short sentence, then the room, `seconds` in all; to be repeated."""
    voice = speak("Hello robot.", _SPEAKER)
    sound = room(seconds)
    start = round(_SETTLING_S * RATE)
    sound[start : start + len(voice)] += to_int16(0.3 * voice / np.abs(voice).max())
    return sound


def heard(sound: NDArray[np.int16], repeats: int, *, house: HouseRules) -> Heard:
    """What is heard of `sound` so many times over, worked out without any socket or clock.

    Each turn is answered at once and in no time; so the loudspeaker must not make the ear deaf.
    """
    return asyncio.run(_heard(sound, repeats, house))


async def _heard(sound: NDArray[np.int16], repeats: int, house: HouseRules) -> Heard:
    microphone = Microphone(Listener(SileroDetector()), keep=RATE)
    state = State(rules=rules(SessionConfig(), house))
    found = Heard([], [])
    for chunk in range(repeats * len(sound) // CHUNK):
        at = chunk * CHUNK % len(sound)
        microphone.push(sound[at : at + CHUNK])
        while (frame := await microphone.next_frame(threshold=0.5, judge=True)) is not None:
            assert not isinstance(frame, Sound)
            state, effects = step(state, frame)
            if _sends(effects, SpeechStarted):
                found.started.append(chunk)
            if _sends(effects, SpeechStopped):
                found.stopped.append(chunk)
                state, _ = step(state, Transcribed(state.answering, ""))
    return found


def _sends(effects: tuple[Effect, ...], kind: type) -> bool:
    return any(isinstance(one, Send) and isinstance(one.output, kind) for one in effects)
