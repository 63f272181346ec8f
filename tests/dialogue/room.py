"""A robot in a room that hears itself: its loudspeaker comes back through walls to its microphone.

Engines are real (pocket voice and ears, Silero) and run at once where they stand, while the virtual
clock is stopped; what they would take in life is added to that clock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_int16
from brain.dialogue import outputs
from brain.dialogue.session import Session
from brain.engines.ports import Emotion, EngineInfo, Ticket, Transcript
from brain.engines.recipes import POCKET, whisper_options
from brain.engines.stt.whisper import WhisperTranscriber
from brain.engines.tts.piper import PiperSynthesizer
from brain.ops.check_ears import Speaker
from brain.ops.check_voices import speak
from brain.settings import Settings
from tests.dialogue.house import Robot

T = TypeVar("T")
Sound = NDArray[np.float64]

RATE = 16_000
CHUNK = 512  # as the detector judges it
VOICE = POCKET / "voice.onnx"
GUEST = Speaker("en-us+f5", 163, 46)
"""Somebody else; held out of the training of the pocket ears."""


class _Aside:
    """An event loop on a thread, whose work this thread waits for: no virtual time passes."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


@cache
def _aside() -> _Aside:
    return _Aside()


@cache
def _mouth() -> PiperSynthesizer:
    return PiperSynthesizer(VOICE)


@cache
def _ears() -> WhisperTranscriber:
    return _aside().run(WhisperTranscriber.load(whisper_options(Settings(), "pocket")))


@cache
def said(text: str) -> tuple[Audio, ...]:
    """`text` by the pocket voice."""

    async def blocks() -> list[Audio]:
        return [block async for block in _mouth().stream(text, ticket=Ticket("room"))]

    return tuple(_aside().run(blocks()))


@cache
def guest(text: str, level: float = 0.1) -> Sound:
    """`text` by somebody else, at 16 kHz, at this loudness (RMS)."""
    sound = speak(text, GUEST).astype(np.float64)
    return sound * (level / np.sqrt(np.mean(sound**2)))


class PocketMouth:
    """The pocket voice; its first block comes after `delay` s of the virtual clock."""

    def __init__(self, delay: float = 0.03) -> None:
        self._delay = delay

    @property
    def info(self) -> EngineInfo:
        return _mouth().info

    @property
    def voices(self) -> tuple[str, ...]:
        return _mouth().voices

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        await asyncio.sleep(self._delay)
        for block in said(text):
            ticket.cancel.raise_if_cancelled()
            yield block

    async def close(self) -> None:
        """The voice is everybody's."""


class PocketEars:
    """The pocket ears, each time after `delay` s of the virtual clock. `heard`: what they wrote."""

    def __init__(self, delay: float = 0.05) -> None:
        self.heard: list[str] = []
        self._delay = delay

    @property
    def info(self) -> EngineInfo:
        return _ears().info

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        await asyncio.sleep(self._delay)
        ticket.cancel.raise_if_cancelled()
        work = _ears().transcribe(samples, language=language, ticket=Ticket("room"))
        transcript = _aside().run(work)
        self.heard.append(transcript.text)
        return transcript

    async def close(self) -> None:
        """The ears are everybody's."""


@cache
def shoebox(
    size: tuple[float, float, float] = (5.0, 4.0, 2.7),
    reflects: float = 0.8,
    order: int = 12,
    seconds: float = 0.25,
) -> Sound:
    """Impulse response of a room between a robot's loudspeaker and its microphone, 12 cm away, by
    image sources; of energy 1. `reflects`: of the pressure, at each wall."""
    source, microphone = np.array([2.1, 1.7, 0.8]), np.array([2.1, 1.82, 0.8])
    box = np.array(size)
    counts = np.arange(-order, order + 1)
    n = np.stack(np.meshgrid(counts, counts, counts, indexing="ij"), axis=-1).reshape(-1, 3)
    response = np.zeros(round(seconds * RATE))
    for flip in np.ndindex(2, 2, 2):
        sign = 1 - 2 * np.array(flip)
        images = sign * source + 2 * n * box
        bounces = np.abs(n - np.array(flip)).sum(axis=1) + np.abs(n).sum(axis=1)
        distance = np.sqrt(((images - microphone) ** 2).sum(axis=1))
        at = np.rint(distance / 343.0 * RATE).astype(int)
        here = at < len(response)
        np.add.at(response, at[here], (reflects ** bounces[here]) / distance[here])
    return response / np.sqrt((response**2).sum())


@dataclass
class Room(Robot):
    """A robot whose loudspeaker comes back `echo_db` as loud, `delay_ms` after it was to sound.

    `noise`: RMS of the room's own noise.
    """

    echo_db: float = -12.0
    delay_ms: float = 100.0
    noise: float = 0.001
    began: float = 0.0
    _speaker: Sound = field(default_factory=lambda: np.zeros(RATE * 40))
    _echo: Sound = field(default_factory=lambda: np.zeros(RATE * 40))
    _plays_to: int = 0
    _position: int = 0
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def hears(self, output: outputs.Output) -> None:
        """What a robot does about what it is sent: it plays it, or drops what it hasn't played."""
        now = round((asyncio.get_running_loop().time() - self.began) * RATE)
        if isinstance(output, outputs.ReplyAudio):
            start = max(now, self._plays_to)
            samples = output.audio.samples / 32768.0
            if output.audio.sample_rate != RATE:
                samples = soxr.resample(samples, output.audio.sample_rate, RATE)
            self._plays_to = start + len(samples)
            self._room_for(self._plays_to)
            self._speaker[start : self._plays_to] = samples
            self._hear(samples, start)
        elif isinstance(output, outputs.ReplyDone) and output.reason == "interrupted":
            self._hear(-self._speaker[now : self._plays_to], now)
            self._speaker[now : self._plays_to] = 0
            self._plays_to = min(self._plays_to, now)

    async def listen(self) -> None:
        self.began = asyncio.get_running_loop().time()
        while True:
            output = await self.session.outputs.get()
            self.hears(output)
            self.witness.see(output)
            self.said.append((asyncio.get_running_loop().time(), output))
            self._news.set()
            if isinstance(output, outputs.Closed):
                return

    async def live(self, seconds: float, somebody: Sound | None = None) -> None:
        """Send the microphone's sound for so long; `somebody` speaks meanwhile."""
        count = -(-round(seconds * RATE) // CHUNK) * CHUNK
        voice = np.zeros(count)
        if somebody is not None:
            voice[: len(somebody)] = somebody[:count]
        for start in range(0, count, CHUNK):
            await asyncio.sleep(CHUNK / RATE)
            end = self._position + CHUNK
            self._room_for(end)
            sound = self._echo[self._position : end] + voice[start : start + CHUNK]
            sound = sound + self.noise * self._random.standard_normal(CHUNK)
            self._position = end
            self.session.hear(to_int16(sound))

    def _hear(self, samples: Sound, start: int) -> None:
        if not len(samples):
            return
        gain = 10 ** (self.echo_db / 20)
        response = shoebox()
        size = 1 << (len(samples) + len(response)).bit_length()
        back = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
        first = start + round(self.delay_ms / 1_000 * RATE)
        self._room_for(first + len(samples) + len(response))
        self._echo[first : first + len(samples) + len(response)] += (
            gain * back[: len(samples) + len(response)]
        )

    def _room_for(self, end: int) -> None:
        if end > len(self._echo):
            more = np.zeros(max(end - len(self._echo), RATE * 40))
            self._echo = np.concatenate((self._echo, more))
            self._speaker = np.concatenate((self._speaker, more))


def in_room(**how: Any) -> Any:
    """For `house.a_session`: makes a `Room` of a session."""

    def make(session: Session) -> Room:
        return Room(session, **how)

    return make


REPLIES: Sequence[str] = (
    "Once a robot looked up at the stars. It counted to ten and fell asleep.",
    "A little robot found a ball and gave it to a lonely dog. They played all day long.",
    "I am Robo, a small robot with a pocket brain. My brain was trained on a small computer.",
    "Why did the robot cross the road? It was programmed to. Do you want to hear a joke?",
    "One, two, three, four, five, six, seven, eight, nine, ten.",
    "A small robot lost its way in the rain. A kind girl carried it home.",
    "I can talk, dance, look around, and tell jokes. Nothing that you say leaves this place.",
    "What music do robots like? Heavy metal! An octopus has three hearts.",
)
