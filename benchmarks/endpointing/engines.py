"""The real detector, ears and end-of-turn model, as they are on a virtual clock.

What they compute is theirs, and costs the clock nothing; what they would take is a fixed time that
is waited for. What was asked before is remembered, since the same sound is heard by many rules.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from benchmarks.endpointing.utterances import RATE, Spoken
from brain.engines.endpointing.smart_turn import SmartTurn
from brain.engines.loop_thread import LoopThread
from brain.engines.ports import EngineInfo, Synthesizer, Ticket, Transcript
from brain.engines.recipes import whisper_options
from brain.engines.recipes.building import POCKET
from brain.engines.stt.whisper import WhisperTranscriber
from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer
from brain.engines.tts.piper import PiperSynthesizer
from brain.engines.vad.silero import FRAME, SileroDetector
from brain.settings import Settings

_WORD = re.compile(r"\S+")


class Voices:
    """The pocket voice and espeak-ng, each through our own synthesiser."""

    def __init__(self, real: LoopThread) -> None:
        self._real = real
        self._mouths: dict[str, Synthesizer] = {
            "pocket": PiperSynthesizer(POCKET / "voice.onnx"),
            "espeak": real.submit(EspeakSynthesizer.load(EspeakOptions())).result(),
        }
        self.names = tuple(self._mouths)

    def say(self, voice: str, text: str) -> NDArray[np.float32]:
        async def blocks() -> NDArray[np.float32]:
            stream = self._mouths[voice].stream(text, ticket=Ticket("bench"))
            made = [block async for block in stream]
            sound = np.concatenate([block.samples for block in made]).astype(np.float32) / 32768
            return np.asarray(soxr.resample(sound, made[0].sample_rate, RATE), np.float32)

        return self._real.submit(blocks()).result()


class Judged:
    """Silero's verdicts on one utterance, made once: a `VoiceDetector` for one microphone."""

    def __init__(self, detector: SileroDetector, sound: NDArray[np.int16]) -> None:
        floats = sound.astype(np.float32) / 32768
        stream = detector.new_stream()
        frames = floats[: len(floats) // FRAME * FRAME].reshape(-1, 1, FRAME)
        self._verdicts = [float(detector.probabilities([stream], frame)[0]) for frame in frames]
        self._next = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("silero", "replayed", "cpu")

    @property
    def frame_samples(self) -> int:
        return FRAME

    def new_stream(self) -> Judged:
        self._next = 0
        return self

    def reset(self) -> None:
        raise AssertionError("what is replayed can't begin anew")

    def probabilities(
        self, streams: Sequence[Any], frames: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        assert len(streams) == len(frames) == 1
        self._next += 1
        return np.array([self._verdicts[self._next - 1]], np.float32)


class PocketEars:
    """The pocket ears, each answer after `seconds`."""

    def __init__(self, real: LoopThread, seconds: float) -> None:
        self._real, self._seconds = real, seconds
        options = whisper_options(Settings(), "pocket")
        self._ears = real.submit(WhisperTranscriber.load(options)).result()
        self._known: dict[bytes, Transcript] = {}

    @property
    def info(self) -> EngineInfo:
        return self._ears.info

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        key = hashlib.sha1(samples.tobytes()).digest()  # noqa: S324 - a key, no secret
        if key not in self._known:
            heard = self._ears.transcribe(samples, language=language, ticket=Ticket("bench"))
            self._known[key] = self._real.submit(heard).result()
        await asyncio.sleep(self._seconds)
        ticket.cancel.raise_if_cancelled()
        return self._known[key]

    async def close(self) -> None:
        """They are shared by all runs."""


class TrueWords:
    """Ears that hear what was said, whole pieces with their marks and begun ones word by word;
    `marks` False: in lower case, and without any."""

    def __init__(self, spoken: Spoken, seconds: float, *, marks: bool = True) -> None:
        self._spoken, self._seconds, self._marks = spoken, seconds, marks
        self._began = asyncio.get_running_loop().time()

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("true", "true words")

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        at = asyncio.get_running_loop().time() - self._began
        assert len(samples) <= at * RATE + FRAME, "heard before it was said"
        text = " ".join(_said_by(at, self._spoken)).strip()
        if not self._marks:
            text = re.sub(r"[^a-z' ]", "", text.lower())
        await asyncio.sleep(self._seconds)
        ticket.cancel.raise_if_cancelled()
        return Transcript(text, language or "en")

    async def close(self) -> None:
        """Nothing is held."""


def _said_by(at: float, spoken: Spoken) -> list[str]:
    said = []
    for piece, (start, end) in zip(spoken.utterance.pieces, spoken.spans, strict=True):
        if at >= end:
            said.append(piece)
        elif at > start:
            words = _WORD.findall(piece)
            said += words[: int(len(words) * (at - start) / (end - start))]
    return said


class HeardEnd:
    """A real end-of-turn model, each answer after `seconds`."""

    def __init__(self, real: LoopThread, file: Path, seconds: float) -> None:
        self._real, self._seconds = real, seconds
        self._model = real.submit(SmartTurn.load(file)).result()
        self._known: dict[bytes, float] = {}

    @property
    def info(self) -> EngineInfo:
        return self._model.info

    async def probability(self, samples: NDArray[np.float32], *, ticket: Ticket) -> float:
        key = hashlib.sha1(samples.tobytes()).digest()  # noqa: S324 - as above
        if key not in self._known:
            asked = self._model.probability(samples, ticket=Ticket("bench"))
            self._known[key] = self._real.submit(asked).result()
        await asyncio.sleep(self._seconds)
        ticket.cancel.raise_if_cancelled()
        return self._known[key]

    async def close(self) -> None:
        """As `PocketEars.close`."""
