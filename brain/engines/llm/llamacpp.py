"""A mind in this process: any GGUF model, run by llama.cpp."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brain.engines.llm.batcher import Batcher
from brain.engines.llm.fitting import fitted
from brain.engines.llm.grammar import CallForm, call_form, schema_grammar, tool_grammar
from brain.engines.llm.native import ContextShape, NativeContext, NativeModel
from brain.engines.llm.prompting import Prompter
from brain.engines.llm.request import BatchCounters, Prepared, Request
from brain.engines.llm.sampling import Sampler, Sampling
from brain.engines.llm.sequences import common_prefix
from brain.engines.llm.serving import Serving
from brain.engines.llm.tool_calls import ReplyParser
from brain.engines.one_line import one_line
from brain.engines.ports import (
    CancelToken,
    CannotSee,
    Device,
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
from brain.engines.worker import Worker

if TYPE_CHECKING:
    from brain.engines.llm.eyes import Eyes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LlamaCppOptions:
    """How a model is run.

    `context` tokens in all are shared by up to `sequences` conversations, each of which stays
    cached as long as there is room. `batch` tokens are computed at a time, and a cancel waits for
    no more than that. `gpu_layers` -1: all. `flash_attention` None: llama.cpp decides. `name` is
    for people (default: the file's). `eyes`: the mmproj file of a model that sees, None: it
    doesn't.
    """

    model: Path
    context: int = 4096
    sequences: int = 4
    batch: int = 256
    gpu_layers: int = 0
    threads: int = 1
    flash_attention: bool | None = None
    max_tokens: int = 256
    sampling: Sampling = field(default_factory=Sampling)
    name: str = ""
    eyes: Path | None = None


@dataclass(frozen=True)
class _Loaded:
    """A model in memory; what it is made of belongs to the engine's thread."""

    model: NativeModel
    context: NativeContext
    prompter: Prompter
    batcher: Batcher
    form: CallForm
    room: int
    """Tokens that a prompt may take, so that there is a reply."""
    eyes: Eyes | None
    blind: str
    """Why there are no eyes."""


class LlamaCppMind:
    """A `LanguageModel`. Made by `load`."""

    def __init__(self, options: LlamaCppOptions, worker: Worker, loaded: _Loaded) -> None:
        self._options = options
        self._worker = worker
        self._loaded = loaded
        self._batcher = loaded.batcher
        self._serving = Serving(loaded.batcher, worker)
        self._closed = False
        self.calls_dropped = 0

    @classmethod
    async def load(
        cls, options: LlamaCppOptions, *, tell: Callable[[str], None] | None = None
    ) -> LlamaCppMind:
        """Load the model, on a thread of its own, which tells how far it is. Raises
        `EngineUnavailable`."""
        worker = Worker("mind")
        try:
            loaded = await worker.run(_open, options, tell)
        except BaseException:
            await worker.close()
            raise
        return cls(options, worker, loaded)

    @property
    def info(self) -> EngineInfo:
        name = self._options.name or self._options.model.name
        device: Device = "gpu" if self._loaded.model.on_gpu else "cpu"
        lacks = "" if self._options.eyes is None else self._loaded.blind
        sees = self._loaded.eyes is not None
        return EngineInfo("llamacpp", name, device, sees=sees, lacks=lacks)

    @property
    def counters(self) -> BatchCounters:
        """What has been computed so far."""
        return replace(self._batcher.counters)

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
        """As `LanguageModel.stream`. A tool call that is broken in spite of the grammar is dropped
        and counted in `calls_dropped`."""
        self._ready_for(messages, ticket)
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[str | EngineError | None] = asyncio.Queue()
        # A token of its own: that the consumer leaves is no reason to cancel what else it asked.
        cancel = CancelToken()
        ticket.cancel.on_cancel(cancel.cancel)
        sampling = self._options.sampling
        if temperature is not None:
            sampling = replace(sampling, temperature=temperature)
        conversation, offered = tuple(messages), () if schema is not None else tuple(tools)

        def emit(item: str | EngineError | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(made.put_nowait, item)

        request = Request(
            prepare=lambda: self._prepare(conversation, offered, schema, sampling),
            emit=emit,
            cancel=cancel,
            max_tokens=max(1, max_tokens or self._options.max_tokens),
        )
        self._serving.submit(request)
        parser = ReplyParser(offered)
        try:
            while isinstance(item := await made.get(), str):
                ticket.cancel.raise_if_cancelled()
                if schema is not None:
                    yield Text(item)
                else:
                    for part in parser.feed(item):
                        yield part
            if item is not None:
                raise item
            if schema is None:
                for part in parser.finish():
                    yield part
        finally:
            cancel.cancel()
            if parser.dropped:
                self.calls_dropped += parser.dropped
                _log.warning("Dropped %d tool call(s): %s.", parser.dropped, parser.reason)

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """As `LanguageModel.prefill`. What is in memory already, of whichever robot, costs nothing;
        the least recently used conversation makes room for what isn't."""
        self._ready_for(messages, ticket)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        cancel = CancelToken()
        ticket.cancel.on_cancel(cancel.cancel)
        conversation, offered = tuple(messages), tuple(tools)

        def end(error: EngineError | None) -> None:
            if ended.done():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        def emit(item: str | EngineError | None) -> None:
            assert not isinstance(item, str)
            if not loop.is_closed():
                loop.call_soon_threadsafe(end, item)

        self._serving.submit(
            Request(lambda: self._beginning(conversation, offered), emit, cancel, max_tokens=0)
        )
        try:
            await ended
        finally:
            cancel.cancel()

    async def close(self) -> None:
        """As `LanguageModel.close`. Replies under way fail."""
        self._closed = True
        self._serving.stop(EngineUnavailable("The language model is closed."))
        await self._worker.close(lambda: _free(self._loaded))

    def _ready_for(self, messages: Sequence[Message], ticket: Ticket) -> None:
        if self._closed:
            raise EngineUnavailable("The language model is closed.")
        ticket.cancel.raise_if_cancelled()
        if self._loaded.eyes is None and any(message.images for message in messages):
            raise CannotSee(f"The language model can't see. {self._loaded.blind}")

    def _beginning(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prepared:
        """The prompt of a question that nobody has asked yet, as far as it is known: what those of
        two questions have in common. (Some templates refuse a conversation without one.)"""
        model, prompter = self._loaded.model, self._loaded.prompter
        one, other = (
            fitted(
                [*messages, Message("user", question)],
                lambda some: prompter.prompt(some, tools),
                self._loaded.room,
            )
            for question in ("Who?", "1")
        )
        known = one.cells[: common_prefix(one.cells, other.cells)]
        sampler = Sampler(model, Sampling(temperature=0.0))
        return Prepared(known, sampler, prompter.ends, prompter.shown, patches=one.patches)

    def _prepare(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        schema: Mapping[str, Any] | None,
        sampling: Sampling,
    ) -> Prepared:
        """The request's prompt and sampler; on the engine's thread."""
        model, prompter = self._loaded.model, self._loaded.prompter
        prompt = fitted(messages, lambda some: prompter.prompt(some, tools), self._loaded.room)
        try:
            if schema is None:
                grammar = tool_grammar(self._loaded.form, tools)
            else:
                grammar = schema_grammar(schema)
            sampler = Sampler(model, sampling, grammar, prompter.banned)
        except ValueError as error:
            if schema is not None:
                raise EngineFailed(f"The schema can't be followed: {error}.") from error
            # Calls are validated in any case.
            _log.warning("Tool calls are not held to a grammar: %s.", error)
            sampler = Sampler(model, sampling, None, prompter.banned)
        return Prepared(
            prompt.cells, sampler, prompter.ends, prompter.shown, patches=prompt.patches
        )


def _open(options: LlamaCppOptions, tell: Callable[[str], None] | None) -> _Loaded:
    def loaded(share: float) -> None:
        if tell is not None:
            tell(f"{options.model.name}, {share:.0%}")

    model = NativeModel(options.model, gpu_layers=options.gpu_layers, tell=loaded)
    eyes = None
    try:
        eyes, blind = _eyes(options, model)
        prompter = Prompter(model, eyes.look if eyes is not None else None)
        shape = ContextShape(
            cells=options.context,
            sequences=options.sequences,
            batch=options.batch,
            threads=options.threads,
            flash_attention=options.flash_attention,
        )
        context = NativeContext(model, shape)
    except BaseException:  # its template may raise anything
        if eyes is not None:
            eyes.close()
        model.close()
        raise
    limit = context.cells
    if 0 < model.trained_context < limit:
        limit = model.trained_context
        _log.info("%s was trained on %d tokens.", options.model.name, limit)
    batcher = Batcher(
        context,
        sequences=options.sequences,
        limit=limit,
        batch=options.batch,
        may_share=model.keeps_all_positions,
        encoder=eyes,
    )
    room = limit - min(options.max_tokens, limit // 4)
    return _Loaded(
        model, context, prompter, batcher, call_form(prompter.template), room, eyes, blind
    )


def _eyes(options: LlamaCppOptions, model: NativeModel) -> tuple[Eyes | None, str]:
    """What the model sees with, or why it doesn't: it can talk all the same."""
    if options.eyes is None:
        return None, "LLM_MMPROJ_PATH gives it eyes, if it is made to see."
    try:
        from brain.engines.llm.eyes import Eyes

        return Eyes(options.eyes, model, threads=options.threads, on_gpu=model.on_gpu), ""
    except EngineUnavailable as error:
        why = str(error)
    except (ImportError, OSError, RuntimeError) as error:
        why = f"This llama.cpp was built without what makes a model see: {one_line(str(error))}."
    _log.error("%s doesn't see until the brain starts again: %s", options.model.name, why)
    return None, why


def _free(loaded: _Loaded) -> None:
    if loaded.eyes is not None:
        loaded.eyes.close()
    loaded.context.close()
    loaded.model.close()
