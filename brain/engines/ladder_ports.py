"""The ladder of each kind of engine: the same port as the engine's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.ladder import Ladder
from brain.engines.ports import (
    Emotion,
    EndOfTurn,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    LanguageModel,
    Message,
    Priority,
    Synthesizer,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
    Transcriber,
    Transcript,
)

_NOBODY = EngineInfo("", "")


class LadderTranscriber:
    """A `Transcriber`: the best of a ladder."""

    def __init__(self, ladder: Ladder[Transcriber]) -> None:
        self.ladder = ladder

    @property
    def info(self) -> EngineInfo:
        return _info(self.ladder)

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        """As `Transcriber.transcribe`."""

        async def hear(engine: Transcriber) -> AsyncGenerator[Transcript, None]:
            yield await engine.transcribe(samples, language=language, ticket=ticket)

        result: Transcript | None = None
        async with aclosing(self.ladder.stream(hear)) as heard:
            async for transcript in heard:
                result = transcript
        if result is None:
            raise EngineFailed("The ears gave nothing.")
        return result

    async def close(self) -> None:
        """As `Transcriber.close`."""
        await self.ladder.close()


class LadderEndOfTurn:
    """An `EndOfTurn`: the best of a ladder."""

    def __init__(self, ladder: Ladder[EndOfTurn]) -> None:
        self.ladder = ladder

    @property
    def info(self) -> EngineInfo:
        return _info(self.ladder)

    async def probability(self, samples: NDArray[np.float32], *, ticket: Ticket) -> float:
        """As `EndOfTurn.probability`."""

        async def judge(engine: EndOfTurn) -> AsyncGenerator[float, None]:
            yield await engine.probability(samples, ticket=ticket)

        result: float | None = None
        async with aclosing(self.ladder.stream(judge)) as judged:
            async for probability in judged:
                result = probability
        if result is None:
            raise EngineFailed("The model of the end of turns gave nothing.")
        return result

    async def close(self) -> None:
        """As `EndOfTurn.close`."""
        await self.ladder.close()


class LadderLanguageModel:
    """A `LanguageModel`: the best of a ladder."""

    def __init__(self, ladder: Ladder[LanguageModel]) -> None:
        self.ladder = ladder

    @property
    def info(self) -> EngineInfo:
        return _info(self.ladder)

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

        def think(engine: LanguageModel) -> AsyncGenerator[Text | ToolCall, None]:
            return engine.stream(
                messages,
                tools=tools,
                schema=schema,
                temperature=temperature,
                max_tokens=max_tokens,
                ticket=ticket,
            )

        return self.ladder.stream(think)

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """As `LanguageModel.prefill`, on the rung that serves now."""
        await self.ladder.engine.prefill(messages, tools=tools, ticket=ticket)

    async def close(self) -> None:
        """As `LanguageModel.close`."""
        await self.ladder.close()


class LadderSynthesizer:
    """A `Synthesizer`: the best of a ladder."""

    def __init__(self, ladder: Ladder[Synthesizer]) -> None:
        self.ladder = ladder

    @property
    def info(self) -> EngineInfo:
        return _info(self.ladder)

    @property
    def voices(self) -> tuple[str, ...]:
        """Those of the engine that serves now."""
        try:
            return self.ladder.engine.voices
        except EngineUnavailable:
            return ()

    def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`. Another voice is better than none: busy or late rungs shed."""

        def say(engine: Synthesizer) -> AsyncGenerator[Audio, None]:
            return engine.stream(text, voice=voice, emotion=emotion, ticket=ticket)

        # A guess is not worth a reply in the voice of a lower rung.
        return self.ladder.stream(say, sheds=ticket.rank is not Priority.SPECULATION)

    async def close(self) -> None:
        """As `Synthesizer.close`."""
        await self.ladder.close()


def _info(ladder: Ladder[Any]) -> EngineInfo:
    try:
        info = ladder.engine.info
    except EngineUnavailable:
        return _NOBODY
    assert isinstance(info, EngineInfo)
    return info
