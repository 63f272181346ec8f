"""A mind in this process on a GPU: a model in the hub's form, run by vLLM."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from brain.engines.llm.fitting import fitted
from brain.engines.llm.prompting import Prompter
from brain.engines.llm.sequences import common_prefix
from brain.engines.llm.tool_calls import ReplyParser
from brain.engines.llm.vllm_engine import Asked, VllmCounters, VllmEngine
from brain.engines.llm.vllm_options import VllmOptions

# isort: split
from vllm.sampling_params import StructuredOutputsParams

from brain.engines.llm.vllm_eyes import Seen
from brain.engines.llm.vllm_vocabulary import HubVocabulary
from brain.engines.ports import (
    CannotSee,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)

_log = logging.getLogger(__name__)

# The least that a bias may be: such a token is never chosen.
_NEVER = -100.0


class VllmMind:
    """A `LanguageModel`. Made by `load`."""

    def __init__(self, options: VllmOptions, engine: VllmEngine, prompter: Prompter) -> None:
        self._options = options
        self._engine = engine
        self._prompter = prompter
        # So that there is a reply.
        self._room = engine.context - min(options.max_tokens, engine.context // 4)
        control = prompter.control
        self._ends = [token for token in control.values() if prompter.ends(token)]
        hidden = [text for text, token in control.items() if text and not prompter.shown(token)]
        self._hidden = re.compile("|".join(map(re.escape, hidden)) or r"(?!)")
        self.calls_dropped = 0

    @classmethod
    async def load(
        cls,
        options: VllmOptions,
        *,
        tell: Callable[[str], None] | None = None,
        died: Callable[[str], None] | None = None,
    ) -> VllmMind:
        """Load the model, which takes half a minute or more. `died` as `VllmEngine.load`. Raises
        `EngineUnavailable`."""
        if tell is not None:
            tell(f"{options.name or options.shape.model}, loading")
        engine = await VllmEngine.load(options.shape, died=died)
        try:
            prompter = await asyncio.to_thread(_prompter, engine)
        except BaseException:
            await engine.close()
            raise
        return cls(options, engine, prompter)

    @property
    def info(self) -> EngineInfo:
        name = self._options.name or self._options.shape.model
        return EngineInfo("vllm", name, self._engine.device, sees=self._engine.eyes is not None)

    @property
    def engine(self) -> VllmEngine:
        """What runs the model."""
        return self._engine

    @property
    def counters(self) -> VllmCounters:
        """What has been computed so far."""
        return replace(self._engine.counters)

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
        """As `LanguageModel.stream`. Calls that break the rules are dropped, and counted in
        `calls_dropped`."""
        if self._engine.eyes is None and any(message.images for message in messages):
            raise CannotSee("The language model can't see: VLLM_MODEL_NAME may be one that does.")
        conversation, offered = tuple(messages), () if schema is not None else tuple(tools)
        warmth = self._options.temperature if temperature is None else temperature
        most = max(1, max_tokens or self._options.max_tokens)

        def ask() -> Asked:
            return self._asked(conversation, offered, schema, warmth, most)

        parser = ReplyParser(offered)
        try:
            async with aclosing(self._engine.stream(ask, cancel=ticket.cancel)) as deltas:
                async for delta in deltas:
                    text = self._hidden.sub("", delta.text)
                    if schema is None:
                        for part in parser.feed(text):
                            yield part
                    elif text:
                        yield Text(text)
            if schema is None:
                for part in parser.finish():
                    yield part
        finally:
            if parser.dropped:
                self.calls_dropped += parser.dropped
                _log.warning("Dropped %d tool call(s): %s.", parser.dropped, parser.reason)

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """As `LanguageModel.prefill`, by asking for one token, which costs vLLM the prompt alone.
        Where there are pictures, nothing."""
        if any(message.images for message in messages):
            return
        conversation, offered = tuple(messages), tuple(tools)

        def ask() -> Asked:
            one, other = (
                self._asked([*conversation, Message("user", said)], offered, None, 0.0, 1).prompt
                for said in ("Who?", "1")
            )
            # (vLLM takes no empty prompt.)
            known = one[: max(1, common_prefix(one, other))]
            return Asked(known, {"temperature": 0.0, "max_tokens": 1})

        async with aclosing(self._engine.stream(ask, cancel=ticket.cancel)) as deltas:
            async for _ in deltas:
                pass

    async def close(self) -> None:
        """As `LanguageModel.close`. Replies under way fail."""
        await self._engine.close()

    def _asked(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        schema: Mapping[str, Any] | None,
        temperature: float,
        most: int,
    ) -> Asked:
        """The prompt, and how its answer is chosen; on any thread. Raises `EngineFailed`."""

        def made(some: Sequence[Message]) -> Seen:
            prompt, eyes = self._prompter.prompt(some, tools), self._engine.eyes
            # (Pictures only add to what is too much already.)
            if eyes is None or not prompt.pictures or len(prompt) > self._engine.context:
                return Seen(prompt.cells)
            return eyes.see(prompt.cells, prompt.pictures)

        prompt = fitted(messages, made, self._room)
        left = self._engine.context - len(prompt)
        if left < 1:
            less = ", or lower IMAGE_MAX_EDGE or IMAGES_PER_TURN" if prompt.rendered else ""
            raise EngineFailed(
                f"The conversation has {len(prompt)} tokens, and the model takes "
                f"{self._engine.context} with its answer: shorten it, or raise VLLM_MAX_MODEL_LEN"
                f"{less}."
            )
        sampling: dict[str, Any] = {
            **self._engine.advised,
            **self._options.sampling,
            "temperature": temperature,
            "max_tokens": min(most, left),
            "stop_token_ids": self._ends,
            # What is a control token is known by its text: the markers of calls are wanted.
            "skip_special_tokens": False,
        }
        if self._prompter.banned:
            sampling["logit_bias"] = dict.fromkeys(self._prompter.banned, _NEVER)
        if schema is not None:
            sampling["structured_outputs"] = StructuredOutputsParams(json=dict(schema))
        return Asked(prompt.ids, sampling, prompt.rendered)


def _prompter(engine: VllmEngine) -> Prompter:
    vocabulary = HubVocabulary(engine.tokenizer, engine.ends, engine.shape.model)
    eyes = engine.eyes
    if eyes is not None:
        vocabulary.chat_template = vocabulary.chat_template or eyes.template
    if vocabulary.chat_template is None and "<|im_start|>" not in vocabulary.special_tokens()[0]:
        raise EngineUnavailable(
            f"{engine.shape.model} has no chat template: VLLM_MODEL_NAME is a model that was "
            "taught to converse (its name mostly ends in Instruct or Chat)."
        )
    if eyes is None:
        return Prompter(vocabulary)
    placeholders = [eyes.placeholder(number) for number in range(1, eyes.most + 1)]

    def look(_picture: bytes, number: int) -> list[list[int]]:
        return [vocabulary.tokenize(eyes.placeholder(number), special=True, continues=True)]

    return Prompter(vocabulary, look, markers=[text for text in placeholders if len(text) > 1])
