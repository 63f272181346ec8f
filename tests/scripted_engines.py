"""Engines of fixed cost that follow a script: for tests of what stands in front of engines.

They are no stand-ins for the real ones, which have tests of their own. They wait with asyncio
alone, so that they run on `tests.virtual_time`, and they honour their ticket's cancel token.
A script is used in order and starts over after its last entry; an exception in it is raised.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    Emotion,
    EngineFailed,
    EngineInfo,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
    Transcript,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Pause:
    """A delay in a script, s."""

    seconds: float


@dataclass(frozen=True)
class Hang:
    """Blocks until cancelled; with `deaf`, not even then."""

    deaf: bool = False


Step = str | Text | ToolCall | Pause | Hang | Exception


class Patience:
    """Waits that end early, with `Cancelled`, when the token is set."""

    def __init__(self, token: CancelToken) -> None:
        self._token = token
        self._event = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._event.set)

        token.on_cancel(wake)

    async def sleep(self, seconds: float) -> None:
        self._token.raise_if_cancelled()
        if seconds <= 0:
            await asyncio.sleep(0)
        else:
            try:
                await asyncio.wait_for(self._event.wait(), seconds)
            except asyncio.TimeoutError:
                return
        self._token.raise_if_cancelled()

    async def hang(self, hang: Hang) -> None:
        if hang.deaf:
            await asyncio.Event().wait()
        await self._event.wait()
        raise Cancelled("cancelled")


def _cycle(script: Sequence[T]) -> Iterator[T]:
    if not script:
        raise ValueError("a script has at least one entry")
    return itertools.cycle(script)


class ScriptedTranscriber:
    """Hears `texts`, one a call, each after `seconds`; or what `texts` makes of the sample count.

    `stubborn`: a call can't be ended halfway, as one of Whisper can't. `heard` keeps the sample
    counts, `calls` when each began and ended, by the loop's clock.
    """

    def __init__(
        self,
        texts: Sequence[str | Hang | Exception] | Callable[[int], str],
        seconds: float = 0.15,
        *,
        stubborn: bool = False,
    ) -> None:
        self._by_length = texts if callable(texts) else None
        self._script = itertools.repeat("") if callable(texts) else _cycle(texts)
        self._seconds = seconds
        self._stubborn = stubborn
        self.heard: list[int] = []
        self.calls: list[tuple[float, float]] = []
        self.closed = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "scripted ears")

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        self.heard.append(len(samples))
        began = asyncio.get_running_loop().time()
        entry = next(self._script)
        patience = Patience(CancelToken() if self._stubborn else ticket.cancel)
        try:
            await patience.sleep(self._seconds)
            ticket.cancel.raise_if_cancelled()
            if isinstance(entry, Hang):
                await patience.hang(entry)
            if isinstance(entry, Exception):
                raise entry
        finally:
            self.calls.append((began, asyncio.get_running_loop().time()))
        assert isinstance(entry, str)
        if self._by_length is not None:
            entry = self._by_length(len(samples))
        return Transcript(entry, language or "en", 0.01, -0.1)

    async def close(self) -> None:
        self.closed += 1


class ScriptedEndOfTurn:
    """Gives `probabilities`, one a call, each after `seconds`. `heard` keeps the sample counts."""

    def __init__(self, probabilities: Sequence[float | Hang | Exception], seconds: float = 0.03):
        self._script = _cycle(probabilities)
        self._seconds = seconds
        self.heard: list[int] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "scripted end of turns")

    async def probability(self, samples: NDArray[np.float32], *, ticket: Ticket) -> float:
        self.heard.append(len(samples))
        entry = next(self._script)
        patience = Patience(ticket.cancel)
        await patience.sleep(self._seconds)
        if isinstance(entry, Hang):
            await patience.hang(entry)
        if isinstance(entry, Exception):
            raise entry
        assert isinstance(entry, float)
        return entry

    async def close(self) -> None:
        """Nothing is held."""


class ScriptedMind:
    """Follows `replies`, one a call: each a string (spoken word by word) or a list of steps.

    The first item of a reply comes after `first_seconds`, each later one after `token_seconds`
    more; a `Pause` adds to that. Tool calls come whether or not the tool was offered: it is the
    script's business. `asked` keeps the messages and tool names of each call, `options` its
    temperature and its most tokens, `prefilled` what each prefill was of, which takes
    `prefill_seconds`. `sees` is what it says of itself.
    """

    def __init__(
        self,
        replies: Sequence[str | Sequence[Step] | Exception],
        *,
        first_seconds: float = 0.2,
        token_seconds: float = 0.025,
        sees: bool | None = False,
        prefill_seconds: float = 0.0,
    ) -> None:
        self.sees = sees
        self.prefilled: list[tuple[tuple[Message, ...], tuple[str, ...]]] = []
        self._prefill = prefill_seconds
        self._script = _cycle(replies)
        self._first = first_seconds
        self._each = token_seconds
        self.asked: list[tuple[tuple[Message, ...], tuple[str, ...]]] = []
        self.options: list[tuple[float | None, int | None]] = []
        self.active = 0
        self.closed = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "scripted mind", sees=self.sees)

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        ticket: Ticket,
    ) -> AsyncGenerator[Text | ToolCall, None]:
        self.asked.append((tuple(messages), tuple(tool.name for tool in tools)))
        self.options.append((temperature, max_tokens))
        reply = next(self._script)
        patience = Patience(ticket.cancel)
        wait = self._first
        self.active += 1
        try:
            for step in _steps(reply):
                if isinstance(step, Pause):
                    wait += step.seconds
                    continue
                await patience.sleep(wait)
                wait = self._each
                if isinstance(step, Hang):
                    await patience.hang(step)
                elif isinstance(step, Exception):
                    raise step
                elif isinstance(step, str):
                    yield Text(step)
                else:
                    yield step
        finally:
            self.active -= 1

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        self.prefilled.append((tuple(messages), tuple(tool.name for tool in tools)))
        await Patience(ticket.cancel).sleep(self._prefill)

    async def close(self) -> None:
        self.closed += 1


def _steps(reply: str | Sequence[Step] | Exception) -> list[Step]:
    """A plain string as word-sized pieces, each with the space before it, as models make them."""
    if isinstance(reply, str):
        words = reply.split(" ")
        return [word if i == 0 else " " + word for i, word in enumerate(words)]
    if isinstance(reply, Exception):
        return [reply]
    return list(reply)


class ScriptedMouth:
    """Says `seconds_per_char` of a quiet tone a character, in blocks of `block_seconds`.

    The first block comes after `delay`, each later one after `block_delay`. Text with nothing to
    say (no letter, no digit) gives no block. `failures` is a script of exceptions to raise or
    hangs at the first block (None: all is well). `said` keeps (text, voice, emotion).
    """

    def __init__(
        self,
        *,
        seconds_per_char: float = 0.06,
        delay: float = 0.1,
        block_delay: float = 0.0,
        block_seconds: float = 0.1,
        sample_rate: int = 22050,
        voices: tuple[str, ...] = ("plain", "other"),
        failures: Sequence[Exception | Hang | None] = (None,),
        calls_per_reply: int | None = None,
    ) -> None:
        self.calls_per_reply = calls_per_reply
        self._seconds_per_char = seconds_per_char
        self._delay = delay
        self._block_delay = block_delay
        self._block_seconds = block_seconds
        self._rate = sample_rate
        self._voices = voices
        self._failures = _cycle(failures)
        self.said: list[tuple[str, str | None, Emotion | None]] = []
        self.active = 0
        self.closed = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "scripted mouth", calls_per_reply=self.calls_per_reply)

    @property
    def voices(self) -> tuple[str, ...]:
        return self._voices

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        self.said.append((text, voice, emotion))
        failure = next(self._failures)
        patience = Patience(ticket.cancel)
        self.active += 1
        try:
            await patience.sleep(self._delay)
            if isinstance(failure, Hang):
                await patience.hang(failure)
            elif failure is not None:
                raise failure
            if not any(char.isalnum() for char in text):
                return
            left = round(len(text) * self._seconds_per_char * self._rate)
            block = max(1, round(self._block_seconds * self._rate))
            at = 0
            while left > 0:
                if at:
                    await patience.sleep(self._block_delay)
                count = min(block, left)
                phase = 2 * np.pi * 220.0 * (at + np.arange(count)) / self._rate
                yield Audio((3000 * np.sin(phase)).astype(np.int16), self._rate)
                at += count
                left -= count
        finally:
            self.active -= 1

    async def close(self) -> None:
        self.closed += 1


class _EnergyStream:
    def reset(self) -> None:
        """Nothing is remembered."""


class ScriptedDetector:
    """Speech is whatever is louder than `threshold` (RMS, 0..1): 0.98, else 0.02."""

    def __init__(self, threshold: float = 0.01, *, fail_at: int | None = None) -> None:
        self._threshold = threshold
        self._fail_at = fail_at
        self.calls = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "loudness")

    @property
    def frame_samples(self) -> int:
        return 512

    def new_stream(self) -> _EnergyStream:
        return _EnergyStream()

    def probabilities(
        self, streams: Sequence[Any], frames: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        self.calls += 1
        if self.calls == self._fail_at:
            raise EngineFailed("scripted failure")
        rms = np.sqrt(np.mean(np.square(frames), axis=1))
        return np.where(rms > self._threshold, 0.98, 0.02).astype(np.float32)
