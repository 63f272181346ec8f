"""A mind on another server: any that speaks OpenAI's chat completions, through its own client.

vLLM, llama.cpp's server, llama-cpp-python's, LM Studio, SGLang, Ollama's `/v1`, OpenAI itself.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai

from brain.engines.llm.openai_reply import StreamedReply
from brain.engines.llm.openai_request import (
    Dialect,
    Wish,
    body,
    easier,
    may_not_see,
    never_sees,
    pictured,
)
from brain.engines.ports import (
    CannotSee,
    EngineError,
    EngineFailed,
    EngineInfo,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)
from brain.engines.remote.calls import Calls
from brain.engines.remote.openai_address import OpenAIServer, shown
from brain.engines.remote.openai_errors import engine_error, words
from brain.engines.remote.openai_server import headers, models, probe, reached

__all__ = ["OpenAIMind", "OpenAIOptions", "probe"]

_log = logging.getLogger(__name__)

_Chunks = openai.AsyncStream[object]


@dataclass(frozen=True)
class OpenAIOptions(OpenAIServer):
    """Where the server is, and how its model is asked. `max_tokens`: of an answer."""

    temperature: float = 0.7
    max_tokens: int = 512


class OpenAIMind:
    """A `LanguageModel`. Made by `load`.

    How long an answer may take is the lane's to say; only connecting has a limit of its own.
    """

    def __init__(self, options: OpenAIOptions, client: openai.AsyncOpenAI, model: str) -> None:
        self._options = options
        self._client = client
        self._model = model
        self._dialect = Dialect()
        self._calls = Calls("The language model is closed.")
        self._sees: bool | None = None  # a server doesn't tell before it is tried
        self._thinks = False  # the last answer was a thought at first, with no word of it
        self.calls_dropped = 0

    @classmethod
    async def load(cls, options: OpenAIOptions) -> OpenAIMind:
        """Reach the server and find the model there. Raises `EngineUnavailable`."""
        client, model = await reached(options)
        return cls(options, client, model)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("openai", self._model, "remote", sees=self._sees)

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
        """As `LanguageModel.stream`. A server that can't hold an answer to `schema` is asked
        without; calls that break the rules are dropped and counted in `calls_dropped`."""
        wish = Wish(
            self._model,
            tuple(messages),
            () if schema is not None else tuple(tools),
            schema,
            self._options.temperature if temperature is None else temperature,
            max(1, max_tokens or self._options.max_tokens),
        )
        return self._calls.stream(ticket, lambda give: self._read(wish, give))

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """As `LanguageModel.prefill`: nothing, for each request is dear to some server."""

    async def close(self) -> None:
        """As `LanguageModel.close`. Replies under way fail."""
        await self._calls.close()
        await self._client.close()

    async def _read(self, wish: Wish, give: Callable[[Text | ToolCall], None]) -> None:
        """Give what the model says. Raises `EngineError`."""
        if self._sees is False and pictured(wish):
            raise self._cannot_see()
        plain = wish.schema is not None
        reply = StreamedReply(wish.tools, plain=plain, thinking=self._thinks)
        begun = False
        try:
            async with await self._ask(wish) as chunks:
                async for chunk in chunks:
                    for item in reply.feed(chunk):
                        begun = True
                        give(item)
            if begun and pictured(wish):
                self._sees = True
            if not reply.ended:
                raise self._cut_short(wish, begun=begun)
            for item in reply.finish():
                give(item)
            if not plain:
                self._learn(began_in_thought=reply.began_in_thought)
        except EngineError:
            raise
        except Exception as error:
            # (The client lets its HTTP library's own through.)
            raise await self._told(error, wish, begun=begun) from error
        finally:
            if reply.dropped:
                self.calls_dropped += reply.dropped
                _log.warning("Dropped %d tool call(s): %s.", reply.dropped, reply.reason)

    def _learn(self, *, began_in_thought: bool) -> None:
        """The next answer is taken for what the last one was."""
        if began_in_thought and not self._thinks:
            _log.warning(
                "%s at %s thinks aloud in its answers, with no <think> before it: start the server"
                " with a reasoning parser, so that answers needn't be waited for as a whole.",
                self._model,
                shown(self._options.url),
            )
        self._thinks = began_in_thought

    async def _told(self, error: Exception, wish: Wish, *, begun: bool) -> EngineError:
        """The port's error for one in the midst of a stream."""
        if isinstance(error, openai.APIConnectionError) and not begun:
            # The question was accepted. Was it too much for the server, or is the server gone?
            try:
                await models(self._client, self._options)
            except EngineError as gone:
                return gone
            return self._cut_short(wish, begun=begun)
        return self._failed(error, wish, begun=begun)

    def _cut_short(self, wish: Wish, *, begun: bool) -> EngineError:
        if self._sees is None and not begun and pictured(wish):
            # So llama-cpp-python's server does with pictures for a model without eyes.
            return self._cannot_see()
        return EngineFailed(
            f"The server at {shown(self._options.url)} ended its reply before the end; perhaps the "
            "conversation is too long for its model, or another request took its place."
        )

    async def _ask(self, wish: Wish) -> _Chunks:
        """The open stream of the answer. What the server refuses is said in another way, and what
        it takes is remembered. Raises `EngineError`."""
        dialect = self._dialect
        first: openai.APIStatusError | None = None
        while True:
            asked = body(wish, dialect)
            try:
                chunks = await self._client.post(
                    "/chat/completions",
                    body=asked,
                    cast_to=object,
                    stream=True,
                    stream_cls=_Chunks,
                    options={"headers": headers(self._options)},
                )
            except openai.APIStatusError as error:
                first = first or error
                status, said = error.status_code, words(error)
                if never_sees(wish, status, said):
                    _log.warning("%s takes no pictures: %s.", self._model, said)
                    self._sees = False
                    raise self._cannot_see() from error
                other = easier(dialect, asked, status, said)
                if other is None and may_not_see(wish, status):
                    raise self._cannot_see() from error
                if other is None:
                    raise self._failed(first, wish) from error
                dialect = other
            except openai.APIConnectionError as error:
                raise self._failed(error, wish) from error
            else:
                if dialect != self._dialect:
                    _log.info("%s takes %s.", shown(self._options.url), dialect)
                    self._dialect = dialect
                return chunks

    def _cannot_see(self) -> CannotSee:
        return CannotSee(
            f"The model {self._model} at {shown(self._options.url)} takes no pictures."
        )

    def _failed(self, error: Exception, wish: Wish, *, begun: bool = False) -> EngineError:
        said = [message.content for message in wish.messages]
        return engine_error(error, self._options, model=self._model, begun=begun, private=said)
