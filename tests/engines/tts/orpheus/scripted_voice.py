"""A voice over a scripted source of tokens, on one thread: for a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.engines.ports import (
    CancelToken,
    EngineError,
    EngineInfo,
    Ticket,
)
from brain.engines.tts.orpheus.frames import Frame
from brain.engines.tts.orpheus.snac import SnacDecoder
from brain.engines.tts.orpheus.synthesizer import OrpheusOptions, OrpheusSynthesizer

Step = Sequence[int] | float | EngineError
"""Ids that are made, seconds of waiting, or an end that wasn't wanted."""


class ScriptedSource:
    """A stand-in for a model: it gives what its scripts say, one a call, the last for ever."""

    info = EngineInfo("scripted", "a script", "cpu")

    def __init__(self, *scripts: list[Step], reset_fails: EngineError | None = None) -> None:
        self.scripts = list(scripts)
        self.reset_fails = reset_fails
        self.resets = self.closes = self.left = 0
        self.prompts: list[list[int]] = []
        self.limits: list[int] = []

    async def tokenize(self, text: str) -> list[int]:
        return list(text.encode())

    async def stream(
        self, prompt: Sequence[int], *, max_tokens: int, cancel: CancelToken
    ) -> AsyncGenerator[Sequence[int], None]:
        self.prompts.append(list(prompt))
        self.limits.append(max_tokens)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            for step in script:
                cancel.raise_if_cancelled()
                if isinstance(step, EngineError):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.left += 1

    async def reset(self) -> None:
        self.resets += 1
        await asyncio.sleep(1.0)
        if self.reset_fails is not None:
            raise self.reset_fails

    async def close(self) -> None:
        self.closes += 1

    def said(self) -> list[str]:
        return [bytes(prompt[2:-4]).decode() for prompt in self.prompts]


class InlineDecoder:
    """The real decoder on the loop's own thread: a virtual clock can't wait for another."""

    def __init__(self, file: Path) -> None:
        self.decoder = SnacDecoder(file)
        self.closed = False

    async def decode(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        return self.decoder.decode(frames)

    async def close(self) -> None:
        self.closed = True


def speech(frames: int, seed: int = 1) -> list[int]:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4096, (frames, 7))
    return [int(c) for c in (codes + np.arange(7) * 4096 + 128_266).ravel()]


def voice(source: ScriptedSource, decoder: InlineDecoder, **options: Any) -> OrpheusSynthesizer:
    return OrpheusSynthesizer(source, decoder, OrpheusOptions(**options))


async def said(
    mouth: OrpheusSynthesizer, text: str = "Hello there.", **more: Any
) -> NDArray[np.int16]:
    ticket = more.pop("ticket", None) or Ticket("a")
    blocks = [block async for block in mouth.stream(text, ticket=ticket, **more)]
    assert all(block.sample_rate == 24_000 and block.seconds <= 0.1 for block in blocks)
    return np.concatenate([np.zeros(0, np.int16), *(block.samples for block in blocks)])
