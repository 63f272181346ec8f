"""The model of Orpheus as a GGUF, run by llama.cpp in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from brain.engines.llm.batcher import Batcher
from brain.engines.llm.native import ContextShape, NativeContext, NativeModel, SettingNames
from brain.engines.llm.request import BatchCounters, Prepared, Request
from brain.engines.llm.sampling import Sampler, Sampling
from brain.engines.llm.serving import Serving
from brain.engines.ports import (
    CancelToken,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
)
from brain.engines.tts.orpheus.frames import CODES, VOCABULARY
from brain.engines.tts.orpheus.prompt import END_OF_SPEECH, MOST_TOKENS
from brain.engines.worker import Worker

SAMPLING = Sampling(
    temperature=0.6,
    # No place of a frame has more. To sort the whole vocabulary took 13 ms a token, these 1 ms,
    # and 12 ms is all the time there is (one thread of a desktop's CPU).
    top_k=CODES,
    top_p=0.9,
    min_p=0.0,
    # Without it the model repeats itself.
    repeat_penalty=1.1,
    repeat_window=MOST_TOKENS,
)
"""As on the model's card."""
_NAMES = SettingNames(model="ORPHEUS_MODEL_PATH", context="ORPHEUS_MAX_MODEL_LEN")


@dataclass(frozen=True)
class LlamaCppSpeech:
    """How the model is run: as `LlamaCppOptions`, of which these are some."""

    model: Path
    context: int = 8192
    sequences: int = 3
    batch: int = 512
    gpu_layers: int = 0
    threads: int = 1
    sampling: Sampling = field(default_factory=lambda: SAMPLING)


@dataclass(frozen=True)
class _Running:
    """A model in memory, and the thread to which it belongs."""

    model: NativeModel
    context: NativeContext
    batcher: Batcher
    worker: Worker
    serving: Serving


class LlamaCppTokens:
    """A `TokenSource`. Made by `load`."""

    def __init__(self, options: LlamaCppSpeech, running: _Running) -> None:
        self._options = options
        self._running: _Running | None = running
        self._on_gpu = running.model.on_gpu
        self._hangs = False

    @classmethod
    async def load(
        cls, options: LlamaCppSpeech, *, tell: Callable[[str], None] | None = None
    ) -> LlamaCppTokens:
        """Load the model on a thread of its own, which tells how far it is. Raises
        `EngineUnavailable`."""
        return cls(options, await _started(options, tell))

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("llamacpp", self._options.model.name, "gpu" if self._on_gpu else "cpu")

    @property
    def counters(self) -> BatchCounters:
        """What has been computed since the model was loaded."""
        return replace(self._there().batcher.counters)

    async def tokenize(self, text: str) -> list[int]:
        """As `TokenSource.tokenize`. (The vocabulary is never written: any thread may read it.)"""
        return self._there().model.tokenize(text, special=False)

    async def stream(
        self, prompt: Sequence[int], *, max_tokens: int, cancel: CancelToken
    ) -> AsyncGenerator[Sequence[int], None]:
        """As `TokenSource.stream`."""
        running = self._there()
        cancel.raise_if_cancelled()
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[int | EngineError | None] = asyncio.Queue()
        # A token of its own: that the consumer leaves is no reason to cancel what else it asked.
        own = CancelToken()
        cancel.on_cancel(own.cancel)

        def post(item: int | EngineError | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(made.put_nowait, item)

        def finish(item: str | EngineError | None) -> None:
            if not isinstance(item, str):
                post(item)

        def prepare() -> Prepared:
            sampler = Sampler(running.model, self._options.sampling)
            return Prepared(
                list(prompt), sampler, lambda token: token == END_OF_SPEECH, lambda _: b""
            )

        request = Request(prepare, finish, own, max_tokens, take=post)
        running.serving.submit(request)
        try:
            while True:
                ids: list[int] = []
                item = await made.get()
                while isinstance(item, int):
                    ids.append(item)
                    if made.empty():
                        break
                    item = made.get_nowait()
                if ids:
                    cancel.raise_if_cancelled()
                    yield ids
                if item is None:
                    return
                if isinstance(item, EngineError):
                    raise item
        finally:
            own.cancel()

    async def reset(self) -> None:
        """As `TokenSource.reset`."""
        await self._stop(EngineFailed("Orpheus is started anew."))
        self._running = await _started(self._options, None)

    async def close(self) -> None:
        """As `TokenSource.close`."""
        with suppress(EngineFailed):  # (The worker has told it.)
            await self._stop(EngineUnavailable("Orpheus is closed."))

    async def _stop(self, reason: EngineError) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.serving.stop(reason)
            freed = await running.worker.close(lambda: _free(running.context, running.model))
            self._hangs = not freed
        if self._hangs:
            # A second model beside it may be more than there is memory for.
            raise EngineFailed("Orpheus hangs in llama.cpp, and its memory can't be freed.")

    def _there(self) -> _Running:
        if self._running is None:
            raise EngineUnavailable("The model of Orpheus isn't loaded.")
        return self._running


async def _started(options: LlamaCppSpeech, tell: Callable[[str], None] | None) -> _Running:
    worker = Worker("orpheus")
    try:
        model, context = await worker.run(_open, options, tell)
    except BaseException:
        await worker.close()
        raise
    limit = context.cells
    if 0 < model.trained_context < limit:
        limit = model.trained_context
    batcher = Batcher(
        context,
        sequences=options.sequences,
        limit=limit,
        batch=options.batch,
        may_share=model.keeps_all_positions,
    )
    return _Running(model, context, batcher, worker, Serving(batcher, worker))


def _open(
    options: LlamaCppSpeech, tell: Callable[[str], None] | None
) -> tuple[NativeModel, NativeContext]:
    def loaded(share: float) -> None:
        if tell is not None:
            tell(f"{options.model.name}, {share:.0%}")

    model = NativeModel(options.model, gpu_layers=options.gpu_layers, tell=loaded, names=_NAMES)
    try:
        if model.n_vocab < VOCABULARY:
            raise EngineUnavailable(
                f"{options.model} has {model.n_vocab} tokens and no sound among them: "
                f"ORPHEUS_MODEL_PATH is an Orpheus, whose vocabulary is at least {VOCABULARY}."
            )
        shape = ContextShape(
            cells=options.context,
            sequences=options.sequences,
            batch=options.batch,
            threads=options.threads,
        )
        return model, NativeContext(model, shape)
    except BaseException:
        model.close()
        raise


def _free(context: NativeContext, model: NativeModel) -> None:
    context.close()
    model.close()
