"""A mind behind Ollama's HTTP API, through its official client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ollama import AsyncClient, ChatResponse, ResponseError

from brain.engines.llm.ollama_server import (
    OllamaOptions,
    find,
    hang_up,
    probe,
    reach,
)
from brain.engines.llm.ollama_wire import (
    chat_messages,
    chat_tools,
    keep_alive,
    told,
)
from brain.engines.llm.remote_text import valid
from brain.engines.llm.thoughtless import Thoughtless
from brain.engines.llm.tool_calls import ReplyParser
from brain.engines.ports import (
    Cancelled,
    CannotSee,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Message,
    Priority,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)

__all__ = ["OllamaMind", "OllamaOptions", "probe"]

_log = logging.getLogger(__name__)

_Chunks: TypeAlias = "asyncio.Queue[ChatResponse | BaseException | None]"
_Reading: TypeAlias = "asyncio.Task[None]"

# What a request can do without, and how a refusal (400) names it.
_DISPENSABLE = (
    ("think", "think"),
    ("tools", "does not support tools"),
    ("format", "format"),
    ("format", "schema"),
    ("format", "grammar"),
)
# What a model can't do it never can; a format may be a matter of that one schema.
_FOR_GOOD = ("think", "tools")


class OllamaMind:
    """A `LanguageModel`. Made by `load`."""

    def __init__(
        self, options: OllamaOptions, client: AsyncClient, *, sees: bool | None = None
    ) -> None:
        self._options = options
        self._client = client
        self._reading: set[_Reading] = set()
        self._refused: set[str] = set()
        self._sees = sees
        self._closed = False
        self._thinks = False  # the last answer was a thought at first, with no word of it
        self.calls_dropped = 0

    @classmethod
    async def load(
        cls, options: OllamaOptions, *, tell: Callable[[str], None] = lambda _: None
    ) -> OllamaMind:
        """Find the server and the model, or have it pulled; `tell` hears how far that is.

        The model itself is loaded by its first call. Raises `EngineUnavailable`.
        """
        client = reach(options)
        try:
            found = await find(client, options, tell)
        except BaseException:
            await hang_up(client)
            raise
        return cls(options, client, sees=found.sees)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("ollama", self._options.model, "remote", sees=self._sees)

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
        """As `LanguageModel.stream`. A cancel closes the HTTP stream, which ends the work there. A
        tool call that doesn't fit is dropped and counted in `calls_dropped`."""
        if self._closed:
            raise EngineUnavailable("The language model is closed.")
        ticket.cancel.raise_if_cancelled()
        if self._sees is False and any(message.images for message in messages):
            raise self._cannot_see()
        offered = () if schema is not None else tuple(tools)
        request = self._request(messages, offered, schema, temperature, max_tokens, ticket)
        chunks: _Chunks = asyncio.Queue()
        reading = self._read_on(request, chunks, ticket)
        parser = ReplyParser(offered, thinking=self._thinks)
        text = parser if schema is None else Thoughtless()
        begun = False
        try:
            while (chunk := await chunks.get()) is not None:
                ticket.cancel.raise_if_cancelled()
                if isinstance(chunk, EngineError):
                    raise chunk
                if isinstance(chunk, BaseException):
                    raise told(chunk, self._options.address, begun=begun) from chunk
                for part in text.feed(_content(chunk)):
                    begun = True
                    yield part
                for call in chunk.message.tool_calls or ():
                    for part in parser.take(call.function.name, call.function.arguments):
                        begun = True
                        yield part
            for part in text.finish():
                yield part
            if schema is None:
                self._thinks = parser.began_in_thought
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            if parser.dropped:
                self.calls_dropped += parser.dropped
                _log.warning("Dropped %d tool call(s): %s.", parser.dropped, parser.reason)

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """As `LanguageModel.prefill`: nothing, for Ollama takes requests for an answer alone."""

    async def close(self) -> None:
        """As `LanguageModel.close`. Replies under way fail."""
        self._closed = True
        reading = set(self._reading)
        for task in reading:
            task.cancel()
        if reading:
            await asyncio.wait(reading)
        await hang_up(self._client)

    def _request(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        schema: Mapping[str, Any] | None,
        temperature: float | None,
        max_tokens: int | None,
        ticket: Ticket,
    ) -> dict[str, Any]:
        """The arguments of the client's `chat`."""
        options = self._options
        plan = ticket.priority is Priority.PLAN
        request: dict[str, Any] = {
            "model": options.model,
            "messages": chat_messages(messages),
            "options": {
                "temperature": options.temperature if temperature is None else temperature,
                # Another context window than that of the last call would load the model anew.
                "num_ctx": options.context,
                "num_predict": max(1, max_tokens or options.max_tokens),
            },
            "keep_alive": keep_alive(
                options.plan_keep_alive if plan else options.converse_keep_alive
            ),
            "think": False,
        }
        if tools:
            request["tools"] = chat_tools(tools)
        if schema is not None:
            request["format"] = dict(schema)
        return {key: value for key, value in request.items() if key not in self._refused}

    def _read_on(self, request: dict[str, Any], chunks: _Chunks, ticket: Ticket) -> _Reading:
        """Read the answer in a task of its own, which a cancel ends wherever it waits; None or what
        was raised are the end of `chunks`."""
        loop = asyncio.get_running_loop()
        reading = asyncio.ensure_future(self._ask(request, chunks))
        self._reading.add(reading)

        def end(_: _Reading) -> None:
            self._reading.discard(reading)
            if not reading.cancelled():
                chunks.put_nowait(reading.exception())
            elif self._closed:
                chunks.put_nowait(EngineUnavailable("The language model is closed."))
            else:
                chunks.put_nowait(Cancelled("cancelled"))

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(reading.cancel)

        reading.add_done_callback(end)
        ticket.cancel.on_cancel(stop)
        return reading

    async def _ask(self, request: dict[str, Any], chunks: _Chunks) -> None:
        last: ChatResponse | None = None
        try:
            async for chunk in await self._client.chat(**request, stream=True):
                chunks.put_nowait(chunk)
                last = chunk
        except ResponseError as error:
            if _about_pictures(error, request):
                self._sees = False
                raise self._cannot_see() from error
            refused = _refusal(error, request)
            if refused is None:
                raise
            _log.warning("%s does without %r: %s.", self._options.model, refused, error.error)
            if refused in _FOR_GOOD:
                self._refused.add(refused)
            await self._ask({k: v for k, v in request.items() if k != refused}, chunks)
            return
        if self._sees is None and _pictured(request):
            self._sees = True
        if last is None or not last.done:
            raise ConnectionError("the answer has no end")
        if last.done_reason == "load":
            raise EngineFailed(f"Ollama loaded {self._options.model} and said nothing.")

    def _cannot_see(self) -> CannotSee:
        return CannotSee(f"{self._options.model} of Ollama takes no pictures.")


def _pictured(request: Mapping[str, Any]) -> bool:
    return any("images" in message for message in request["messages"])


def _about_pictures(error: ResponseError, request: Mapping[str, Any]) -> bool:
    """Whether the server refuses for the pictures: its model, or the runner of it, has no eyes."""
    words = str(error.error).lower()
    return _pictured(request) and any(word in words for word in ("image", "vision", "multimodal"))


def _refusal(error: ResponseError, request: Mapping[str, Any]) -> str | None:
    """The part of `request` that the server or the model can't do, and we can do without."""
    if error.status_code != 400:
        return None
    words = str(error.error).lower()
    return next((key for key, word in _DISPENSABLE if key in request and word in words), None)


def _content(chunk: ChatResponse) -> str:
    """What a chunk of the answer says; its thoughts, in a field of their own, are passed over."""
    return valid(chunk.message.content or "")
