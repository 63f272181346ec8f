"""The model of Orpheus in the hub's form, run by vLLM in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from brain.engines.llm.vllm_engine import Asked, VllmCounters, VllmEngine
from brain.engines.llm.vllm_options import VllmShape
from brain.engines.llm.vllm_vocabulary import HubVocabulary
from brain.engines.ports import CancelToken, EngineInfo, EngineUnavailable
from brain.engines.tts.orpheus.frames import VOCABULARY
from brain.engines.tts.orpheus.prompt import END_OF_SPEECH
from brain.engines.tts.orpheus.source import SAMPLING


@dataclass(frozen=True)
class VllmSpeech:
    """How the model is run. `name` is for people (default: the folder's, or the repository)."""

    shape: VllmShape
    name: str = ""
    sampling: Mapping[str, Any] = field(default_factory=lambda: SAMPLING)


class VllmTokens:
    """A `TokenSource`. Made by `load`."""

    def __init__(self, options: VllmSpeech, engine: VllmEngine, words: HubVocabulary) -> None:
        self._options = options
        self._engine = engine
        self._vocabulary = words

    @classmethod
    async def load(
        cls,
        options: VllmSpeech,
        *,
        tell: Callable[[str], None] | None = None,
        died: Callable[[str], None] | None = None,
    ) -> VllmTokens:
        """Load the model, which takes half a minute or more. `died` as `VllmEngine.load`. Raises
        `EngineUnavailable`."""
        if tell is not None:
            tell(f"{options.name or options.shape.model}, loading")
        engine = await VllmEngine.load(options.shape, died=died)
        try:
            if engine.vocabulary < VOCABULARY:
                raise EngineUnavailable(
                    f"{options.shape.model} has {engine.vocabulary} tokens and no sound among "
                    f"them: TTS_MODEL_NAME is an Orpheus, whose vocabulary is at least "
                    f"{VOCABULARY}."
                )
            shape = options.shape
            words = await asyncio.to_thread(HubVocabulary, engine.tokenizer, (), shape.model)
        except BaseException:
            await engine.close()
            raise
        return cls(options, engine, words)

    @property
    def info(self) -> EngineInfo:
        name = self._options.name or self._options.shape.model
        return EngineInfo("vllm", name, self._engine.device)

    @property
    def engine(self) -> VllmEngine:
        """What runs the model."""
        return self._engine

    @property
    def counters(self) -> VllmCounters:
        """What has been computed since the model was loaded."""
        return replace(self._engine.counters)

    async def tokenize(self, text: str) -> list[int]:
        """As `TokenSource.tokenize`."""
        return self._vocabulary.tokenize(text, special=False)

    async def stream(
        self, prompt: Sequence[int], *, max_tokens: int, cancel: CancelToken
    ) -> AsyncGenerator[Sequence[int], None]:
        """As `TokenSource.stream`."""
        sampling = {
            **self._options.sampling,
            "max_tokens": max(1, min(max_tokens, self._engine.context - len(prompt))),
            "stop_token_ids": [END_OF_SPEECH],
            "detokenize": False,
        }
        asked = Asked(tuple(prompt), sampling)
        async with aclosing(self._engine.stream(lambda: asked, cancel=cancel)) as deltas:
            async for delta in deltas:
                # (The token that ends a sequence is among its tokens.)
                if ids := [token for token in delta.ids if token != END_OF_SPEECH]:
                    yield ids

    async def reset(self) -> None:
        """As `TokenSource.reset`, but for the loading: that takes longer than a robot waits. So it
        always raises `EngineUnavailable`: the next voice speaks, and the ladder loads it anew."""
        await self._engine.close()
        raise EngineUnavailable(
            "Orpheus is started anew by vLLM, which takes a minute: another voice speaks meanwhile."
        )

    async def close(self) -> None:
        """As `TokenSource.close`."""
        await self._engine.close()
