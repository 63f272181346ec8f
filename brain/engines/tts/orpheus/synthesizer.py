"""A `Synthesizer` of Orpheus: tokens from wherever they come, decoded as they come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_int16
from brain.engines.ports import (
    CancelToken,
    Emotion,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineTimeout,
    EngineUnavailable,
    Ticket,
)
from brain.engines.tts.orpheus.frames import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    FrameAssembler,
    Window,
    Windows,
)
from brain.engines.tts.orpheus.hints import STARTED_ANEW, hinted, late
from brain.engines.tts.orpheus.prompt import VOICES, most_tokens, prompt_ids, said, spoken
from brain.engines.tts.orpheus.source import SoundDecoder, TokenSource

_log = logging.getLogger(__name__)


_CALLS_PER_REPLY = 2
"""The first clause, so that it starts early, and the rest: each call begins with a prompt and 28
tokens before its first sound, and sounds like a beginning."""


class _Silent(EngineFailed):
    """The model ended before it began; nothing is wrong with what runs it."""


@dataclass(frozen=True)
class OrpheusOptions:
    """`voice`: the default one. `idle_s`: longest wait for the next sound; `total_s`: for all
    sound of one piece of text (some 15 s of speech). Time in which nobody takes the sound doesn't
    count. `at_once`: most frames that a decoder which has fallen behind takes at once. `lower`: the
    settings that take less memory, for errors that tell of none."""

    voice: str = VOICES[0]
    idle_s: float = 8.0
    total_s: float = 60.0
    at_once: int = 8
    lower: tuple[str, ...] = ()


class OrpheusSynthesizer:
    """Owns `source` and `decoder`, and closes them.

    An emotion may begin the text with a laugh, a sigh and so on. A piece that comes to nothing is
    tried once more on a model loaded anew; if it was heard in part, or fails again, the error is
    the caller's: a lower rung speaks.
    """

    def __init__(self, source: TokenSource, decoder: SoundDecoder, options: OrpheusOptions) -> None:
        self._source = source
        self._decoder = decoder
        self._options = options
        self._resetting: asyncio.Task[None] | None = None
        self._generation = 0
        self._closed = False

    @property
    def info(self) -> EngineInfo:
        source = self._source.info
        return EngineInfo("orpheus", source.model, source.device, _CALLS_PER_REPLY)

    @property
    def voices(self) -> tuple[str, ...]:
        first = self._options.voice
        return (first, *(voice for voice in VOICES if voice != first))

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`: the first sound after 28 tokens, then a block each 7."""
        ticket.cancel.raise_if_cancelled()
        chosen = voice if voice in self.voices else self.voices[0]
        for words in spoken(text, emotion):
            async with aclosing(self._twice(str(chosen), words, ticket.cancel)) as blocks:
                async for block in blocks:
                    ticket.cancel.raise_if_cancelled()
                    yield block

    async def close(self) -> None:
        """As `Synthesizer.close`."""
        self._closed = True
        if self._resetting is not None:
            await asyncio.wait([self._resetting])
        await self._source.close()
        await self._decoder.close()

    async def _twice(
        self, voice: str, words: str, cancel: CancelToken
    ) -> AsyncGenerator[Audio, None]:
        for last in (False, True):
            generation, heard = self._generation, False
            try:
                async with aclosing(self._once(voice, words, cancel)) as blocks:
                    async for block in blocks:
                        heard = True
                        yield block
            except (EngineFailed, EngineTimeout, EngineUnavailable) as fault:
                if self._closed:
                    raise EngineUnavailable("Orpheus is closed.") from fault
                error = hinted(fault, self._options.lower)
                if last and not heard:
                    raise error from fault.__cause__
                if not isinstance(error, _Silent):
                    await self._reset(generation, error)
                if heard:  # To say it again would repeat words.
                    raise error from fault.__cause__
            else:
                return

    async def _once(
        self, voice: str, words: str, cancel: CancelToken
    ) -> AsyncGenerator[Audio, None]:
        """One try, with its time-outs."""
        if self._closed:
            raise EngineUnavailable("Orpheus is closed.")
        prompt = prompt_ids(await self._source.tokenize(said(voice, words)))
        options, loop = self._options, asyncio.get_running_loop()
        spent, heard = 0.0, False
        own = CancelToken()
        cancel.on_cancel(own.cancel)
        async with aclosing(self._sound(prompt, most_tokens(words), own)) as sound:
            try:
                while True:
                    began = loop.time()
                    patience = min(options.idle_s, options.total_s - spent)
                    try:
                        samples = await asyncio.wait_for(_next(sound), patience)
                    except asyncio.TimeoutError:
                        spent += loop.time() - began
                        idle = spent < options.total_s
                        raise EngineTimeout(
                            late(options.idle_s, options.total_s, idle=idle)
                        ) from None
                    spent += loop.time() - began
                    if samples is None:
                        break
                    for block in _blocks(samples):
                        heard = True
                        yield block
            finally:
                own.cancel()
        cancel.raise_if_cancelled()
        if not heard:
            raise _Silent("Orpheus made no sound of a text that has some.")

    async def _sound(
        self, prompt: list[int], most: int, cancel: CancelToken
    ) -> AsyncGenerator[NDArray[np.float32], None]:
        """The sound of a prompt, as its tokens come; float32 at 24 kHz."""
        frames, windows = FrameAssembler(), Windows(self._options.at_once)
        source = self._source.stream(prompt, max_tokens=most, cancel=cancel)
        async with aclosing(source) as tokens:
            async for ids in tokens:
                # (What is made while one is decoded comes in one delta, and is decoded at once.)
                for window in windows.feed(list(frames.feed(ids))):
                    yield await self._decoded(window)
        if (rest := windows.finish()) is not None:
            yield await self._decoded(rest)

    async def _decoded(self, window: Window) -> NDArray[np.float32]:
        return (await self._decoder.decode(window.frames))[window.start : window.stop]

    async def _reset(self, generation: int, error: EngineError) -> None:
        """Load the model anew, unless somebody has since `generation`. Raises as the source."""
        if self._generation == generation:
            _log.warning("%s%s", STARTED_ANEW, error)
            self._generation += 1
            # A task of its own: half a load, because one caller left, would be nobody's.
            self._resetting = asyncio.ensure_future(self._loaded_anew())
            self._resetting.add_done_callback(lambda task: task.cancelled() or task.exception())
        if self._resetting is not None:
            await asyncio.shield(self._resetting)

    async def _loaded_anew(self) -> None:
        try:
            await self._source.reset()
        except EngineError as error:
            raise hinted(error, self._options.lower) from error.__cause__


async def _next(sound: AsyncGenerator[NDArray[np.float32], None]) -> NDArray[np.float32] | None:
    """None at the end."""
    try:
        return await anext(sound)
    except StopAsyncIteration:
        return None


def _blocks(samples: NDArray[np.float32]) -> Iterator[Audio]:
    for start in range(0, len(samples), FRAME_SAMPLES):
        yield Audio(to_int16(samples[start : start + FRAME_SAMPLES]), SAMPLE_RATE)
