"""The pool of each kind of engine: the same port as the engine's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.ports import (
    Emotion,
    EngineFailed,
    EngineInfo,
    LanguageModel,
    Message,
    Synthesizer,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
    Transcriber,
    Transcript,
)
from brain.engines.remote.pool import Pool


class PoolTranscriber:
    """A `Transcriber` on several servers."""

    def __init__(self, pool: Pool[Transcriber]) -> None:
        self.pool = pool

    @property
    def info(self) -> EngineInfo:
        return self.pool.info

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        """As `Transcriber.transcribe`."""

        async def hear(engine: Transcriber, inner: Ticket) -> AsyncGenerator[Transcript, None]:
            yield await engine.transcribe(samples, language=language, ticket=inner)

        async with aclosing(self.pool.stream(ticket, hear)) as heard:
            async for transcript in heard:
                return transcript
        raise EngineFailed("The ears gave nothing.")

    async def close(self) -> None:
        """As `Transcriber.close`."""
        await self.pool.close()


class PoolLanguageModel:
    """A `LanguageModel` on several servers."""

    def __init__(self, pool: Pool[LanguageModel]) -> None:
        self.pool = pool

    @property
    def info(self) -> EngineInfo:
        return self.pool.info

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        ticket: Ticket,
    ) -> AsyncGenerator[Text | ToolCall, None]:
        """As `LanguageModel.stream`."""

        def think(engine: LanguageModel, inner: Ticket) -> AsyncGenerator[Text | ToolCall, None]:
            return engine.stream(
                messages,
                tools=tools,
                schema=schema,
                temperature=temperature,
                max_tokens=max_tokens,
                ticket=inner,
            )

        return self.pool.stream(ticket, think)

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """As `LanguageModel.prefill`, on the server that this robot's next question goes to, if
        nothing comes between."""
        engine = self.pool.next_for(ticket.robot)
        await engine.prefill(messages, tools=tools, ticket=ticket)

    async def close(self) -> None:
        """As `LanguageModel.close`."""
        await self.pool.close()


class PoolSynthesizer:
    """A `Synthesizer` on several servers."""

    def __init__(self, pool: Pool[Synthesizer]) -> None:
        self.pool = pool

    @property
    def info(self) -> EngineInfo:
        return self.pool.info

    @property
    def voices(self) -> tuple[str, ...]:
        return self.pool.engine.voices

    def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`."""

        def say(engine: Synthesizer, inner: Ticket) -> AsyncGenerator[Audio, None]:
            return engine.stream(text, voice=voice, emotion=emotion, ticket=inner)

        return self.pool.stream(ticket, say)

    async def close(self) -> None:
        """As `Synthesizer.close`."""
        await self.pool.close()
