"""The lane of each kind of engine: the same port as the engine's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.lane import Lane
from brain.engines.ports import (
    Emotion,
    EndOfTurn,
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
from brain.engines.spare_time import SpareTime


class LaneTranscriber:
    """A `Transcriber` behind a lane."""

    def __init__(self, lane: Lane[Transcriber]) -> None:
        self.lane = lane

    @property
    def info(self) -> EngineInfo:
        return self.lane.engine.info

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        """As `Transcriber.transcribe`."""

        async def hear(inner: Ticket) -> AsyncGenerator[Transcript, None]:
            yield await self.lane.engine.transcribe(samples, language=language, ticket=inner)

        result: Transcript | None = None
        async with aclosing(self.lane.stream(ticket, hear)) as heard:
            async for transcript in heard:
                result = transcript
        if result is None:
            raise EngineFailed("The ears gave nothing.")
        return result

    async def close(self) -> None:
        """As `Transcriber.close`."""
        await self.lane.close()


class LaneEndOfTurn:
    """An `EndOfTurn` behind a lane."""

    def __init__(self, lane: Lane[EndOfTurn]) -> None:
        self.lane = lane

    @property
    def info(self) -> EngineInfo:
        return self.lane.engine.info

    async def probability(self, samples: NDArray[np.float32], *, ticket: Ticket) -> float:
        """As `EndOfTurn.probability`."""

        async def judge(inner: Ticket) -> AsyncGenerator[float, None]:
            yield await self.lane.engine.probability(samples, ticket=inner)

        result: float | None = None
        async with aclosing(self.lane.stream(ticket, judge)) as judged:
            async for probability in judged:
                result = probability
        if result is None:
            raise EngineFailed("The model of the end of turns gave nothing.")
        return result

    async def close(self) -> None:
        """As `EndOfTurn.close`."""
        await self.lane.close()


class LaneLanguageModel:
    """A `LanguageModel` behind a lane. What it prefills takes no place there, and gives way to
    every call."""

    def __init__(self, lane: Lane[LanguageModel]) -> None:
        self.lane = lane
        self._spare_time = SpareTime()

    @property
    def info(self) -> EngineInfo:
        return self.lane.engine.info

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

        async def think(inner: Ticket) -> AsyncGenerator[Text | ToolCall, None]:
            pieces = self.lane.engine.stream(
                messages,
                tools=tools,
                schema=schema,
                temperature=temperature,
                max_tokens=max_tokens,
                ticket=inner,
            )
            with self._spare_time.taken():
                async with aclosing(pieces):
                    async for piece in pieces:
                        yield piece

        return self.lane.stream(ticket, think)

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """As `LanguageModel.prefill`."""
        await self._spare_time.use(
            ticket, lambda inner: self.lane.engine.prefill(messages, tools=tools, ticket=inner)
        )

    async def close(self) -> None:
        """As `LanguageModel.close`."""
        await self.lane.close()


class LaneSynthesizer:
    """A `Synthesizer` behind a lane."""

    def __init__(self, lane: Lane[Synthesizer]) -> None:
        self.lane = lane

    @property
    def info(self) -> EngineInfo:
        return self.lane.engine.info

    @property
    def voices(self) -> tuple[str, ...]:
        return self.lane.engine.voices

    def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`."""

        def say(inner: Ticket) -> AsyncGenerator[Audio, None]:
            return self.lane.engine.stream(text, voice=voice, emotion=emotion, ticket=inner)

        return self.lane.stream(ticket, say)

    async def close(self) -> None:
        """As `Synthesizer.close`."""
        await self.lane.close()
