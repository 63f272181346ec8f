"""A mind on another server: any that speaks OpenAI's chat completions, through its own client.

vLLM, llama.cpp's server, llama-cpp-python's, LM Studio, SGLang, Ollama's `/v1`, OpenAI itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import openai

from brain.engines.llm.openai_errors import engine_error, shown, words
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
from brain.engines.llm.openai_server import OpenAIOptions, connected, headers, models, probe
from brain.engines.one_line import one_line
from brain.engines.ports import (
    Cancelled,
    CannotSee,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)

__all__ = ["OpenAIMind", "OpenAIOptions", "probe"]

_log = logging.getLogger(__name__)

_Made = asyncio.Queue[Text | ToolCall | None]
_Chunks = openai.AsyncStream[object]


class OpenAIMind:
    """A `LanguageModel`. Made by `load`.

    How long an answer may take is the lane's to say; only connecting has a limit of its own.
    """

    def __init__(self, options: OpenAIOptions, client: openai.AsyncOpenAI, model: str) -> None:
        self._options = options
        self._client = client
        self._model = model
        self._dialect = Dialect()
        self._sees: bool | None = None  # a server doesn't tell before it is tried
        self._replies: set[asyncio.Task[EngineError | None]] = set()
        self._closed = False
        self.calls_dropped = 0

    @classmethod
    async def load(cls, options: OpenAIOptions) -> OpenAIMind:
        """Reach the server and find the model there. Raises `EngineUnavailable`."""
        # (Reading the certificates takes a while.)
        client = await asyncio.to_thread(connected, options)
        try:
            listed = await models(client, options)
            model = options.model or next(iter(listed), "")
            if not model:
                raise EngineUnavailable(
                    f"OPENAI_URL={shown(options.url)} lists no model: set OPENAI_MODEL to one that "
                    "it serves."
                )
        except BaseException:
            await client.close()
            raise
        if model not in listed:
            # Some servers list no aliases, or none that is not in memory. Warming up will tell.
            some = one_line(", ".join(listed[:5])) or "none"
            _log.warning("OPENAI_MODEL=%s is not among the models listed: %s.", model, some)
        return cls(options, client, model)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("openai", self._model, "remote", sees=self._sees)

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
        """As `LanguageModel.stream`. A server that can't hold an answer to `schema` is asked
        without; calls that break the rules are dropped and counted in `calls_dropped`."""
        if self._closed:
            raise EngineUnavailable("The language model is closed.")
        ticket.cancel.raise_if_cancelled()
        if self._sees is False and any(message.images for message in messages):
            raise self._cannot_see()
        loop = asyncio.get_running_loop()
        wish = Wish(
            self._model,
            tuple(messages),
            () if schema is not None else tuple(tools),
            schema,
            self._options.temperature if temperature is None else temperature,
            max(1, max_tokens or self._options.max_tokens),
        )
        made: _Made = asyncio.Queue()
        reading = asyncio.ensure_future(self._read(wish, made))
        self._replies.add(reading)
        reading.add_done_callback(self._replies.discard)
        reading.add_done_callback(lambda _: made.put_nowait(None))

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(reading.cancel)

        ticket.cancel.on_cancel(stop)
        try:
            while (item := await made.get()) is not None:
                ticket.cancel.raise_if_cancelled()
                yield item
            if self._closed:
                raise EngineUnavailable("The language model is closed.")
            if reading.cancelled():
                raise Cancelled("cancelled")
            if (error := reading.result()) is not None:
                raise error
        finally:
            reading.cancel()
            await asyncio.wait({reading})

    async def close(self) -> None:
        """As `LanguageModel.close`. Replies under way fail."""
        self._closed = True
        for reading in list(self._replies):
            reading.cancel()
        if self._replies:
            await asyncio.wait(set(self._replies))
        await self._client.close()

    async def _read(self, wish: Wish, made: _Made) -> EngineError | None:
        """Put what the model says into `made`; returns what went wrong. Cancelling ends the HTTP
        stream, and with it the work of a server that is any good."""
        reply = StreamedReply(wish.tools, plain=wish.schema is not None)
        begun = False
        try:
            async with await self._ask(wish) as chunks:
                async for chunk in chunks:
                    for item in reply.feed(chunk):
                        begun = True
                        made.put_nowait(item)
            if begun and pictured(wish):
                self._sees = True
            if not reply.ended:
                return self._cut_short(wish, begun=begun)
            for item in reply.finish():
                made.put_nowait(item)
        except EngineError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the client lets its HTTP library's own through
            return await self._told(error, wish, begun=begun)
        finally:
            if reply.dropped:
                self.calls_dropped += reply.dropped
                _log.warning("Dropped %d tool call(s): %s.", reply.dropped, reply.reason)
        return None

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
        return engine_error(error, self._options.url, model=self._model, begun=begun, private=said)
