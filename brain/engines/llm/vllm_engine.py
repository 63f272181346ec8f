"""vLLM in this process: its `AsyncLLM` on a thread with an event loop of its own.

The model itself runs in a child process (vLLM's engine core), so its death is not the brain's: it
is noticed within a second, and told. Shared by the mind and by Orpheus.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

# (First: it says to vLLM how to behave.)
from brain.engines.llm.vllm_start import PATIENCE_S, Start, device, end

# isort: split
from vllm import SamplingParams, TokensPrompt
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from brain.engines.llm.vllm_eyes import eyes_of
from brain.engines.llm.vllm_options import VllmShape
from brain.engines.loop_thread import LoopThread
from brain.engines.one_line import one_line
from brain.engines.ports import CancelToken, EngineError, EngineFailed, EngineUnavailable

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Between two looks at the engine core."""


@dataclass(frozen=True)
class Asked:
    """A prompt, as token ids, and how the next tokens are chosen: `SamplingParams` by name.
    `rendered`: a prompt with pictures as `VllmEyes` has made it, `prompt` being its ids."""

    prompt: Sequence[int]
    sampling: Mapping[str, Any]
    rendered: Any = None


@dataclass(frozen=True)
class Delta:
    """What a step has added to a sequence: its token ids, and the text that they complete."""

    ids: tuple[int, ...]
    text: str


@dataclass
class VllmCounters:
    """Since the start: tokens of prompts, those of them that were found in the cache, tokens that
    were made, and sequences that were broken off."""

    prompted: int = 0
    reused: int = 0
    generated: int = 0
    aborted: int = 0


_Made = Delta | EngineError | None
_Post = Callable[[_Made], None]


class VllmEngine:
    """Made by `load`. Used from the brain's event loop; what is vLLM's is on its thread."""

    def __init__(self, shape: VllmShape, thread: LoopThread, llm: AsyncLLM, start: Start) -> None:
        self.shape = shape
        self.device = device()
        self.context: int = llm.model_config.max_model_len
        self.counters = VllmCounters()
        self.eyes = eyes_of(llm, thread)
        """What it sees with; None: it doesn't."""
        self._thread = thread
        self._llm = llm
        self._cores = start.cores
        self._numbers = count()
        self._writing: dict[Future[None], _Post] = {}
        self._closing: asyncio.Task[None] | None = None
        self._gone = ""

    @classmethod
    async def load(
        cls, shape: VllmShape, *, died: Callable[[str], None] | None = None
    ) -> VllmEngine:
        """Load the model, which takes half a minute or more. `died`, called on this event loop,
        hears it if the engine is no more and nobody closed it. Raises `EngineUnavailable`."""
        thread, start = LoopThread(f"vllm-{shape.prefix.lower()}"), Start(shape)
        running = thread.submit(start.run())
        try:
            llm = await asyncio.shield(asyncio.wrap_future(running))
        except asyncio.CancelledError:
            await asyncio.to_thread(start.abandon, running)
            await thread.close()
            raise
        except Exception as error:
            await thread.close()
            raise _not_loaded(shape, error) from error
        engine = cls(shape, thread, llm, start)
        thread.submit(engine._watch(asyncio.get_running_loop(), died))
        return engine

    @property
    def cores(self) -> tuple[int | None, ...]:
        """Process ids of the engine core (one, without data parallelism)."""
        return tuple(core.pid for core in self._cores)

    @property
    def vocabulary(self) -> int:
        """How many tokens the model knows."""
        size: int = self._llm.model_config.get_vocab_size()
        return size

    @property
    def tokenizer(self) -> Any:
        """The model's, of transformers."""
        return self._llm.get_tokenizer()

    @property
    def advised(self) -> dict[str, Any]:
        """Sampling as the model's makers advise it (`generation_config.json`)."""
        return dict(self._llm.model_config.get_diff_sampling_param())

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids that end a reply, as the model's files say it."""
        told = self._llm.model_config.try_get_generation_config().get("eos_token_id")
        return tuple(told) if isinstance(told, (list, tuple)) else () if told is None else (told,)

    async def stream(
        self, ask: Callable[[], Asked], *, cancel: CancelToken
    ) -> AsyncGenerator[Delta, None]:
        """What the model writes, step by step; never waits for its consumer.

        `ask` is called on another thread, and may raise `EngineError`. Closing the iterator
        cancels, which ends the sequence within a token. Raises `EngineUnavailable`, `EngineFailed`,
        `Cancelled`.
        """
        if self._gone:
            raise EngineUnavailable(self._gone)
        cancel.raise_if_cancelled()
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[_Made] = asyncio.Queue()

        def post(item: _Made) -> None:
            with suppress(RuntimeError):  # The loop is closed: nobody is there to hear.
                loop.call_soon_threadsafe(made.put_nowait, item)

        work = self._thread.submit(self._write(ask, post))
        self._writing[work] = post
        # A token of its own: that the consumer leaves is no reason to cancel what else it asked.
        own = CancelToken()
        own.on_cancel(lambda: _stop(work, post))
        cancel.on_cancel(own.cancel)
        try:
            while (item := await made.get()) is not None:
                cancel.raise_if_cancelled()
                if isinstance(item, EngineError):
                    raise item
                yield item
            cancel.raise_if_cancelled()
        finally:
            self._writing.pop(work, None)
            own.cancel()

    async def close(self) -> None:
        """End what is under way, the core with its memory, and the thread. Closing twice is the
        same as once."""
        if self._closing is None:
            self._gone = self._gone or f"vLLM is closed ({self.shape.model})."
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for work, post in list(self._writing.items()):
            post(EngineUnavailable(self._gone))
            work.cancel()
        shutting = self._thread.submit(_shut(self._llm))
        try:
            await asyncio.wait_for(asyncio.wrap_future(shutting), PATIENCE_S)
        except Exception as error:  # noqa: BLE001 - it must end, whatever vLLM thinks of it
            _log.warning("vLLM's end: %s: %s", type(error).__name__, one_line(str(error)))
        if not await asyncio.to_thread(end, self._cores, PATIENCE_S):
            _log.error("vLLM's engine core can't be ended, and its memory isn't freed.")
        await self._thread.close()

    # -- on vLLM's thread -----------------------------------------------------------------------

    async def _write(self, ask: Callable[[], Asked], post: _Post) -> None:
        try:
            asked = await asyncio.to_thread(ask)
            params = SamplingParams(output_kind=RequestOutputKind.DELTA, **asked.sampling)
            prompt = asked.rendered or TokensPrompt(prompt_token_ids=list(asked.prompt))
            self.counters.prompted += len(asked.prompt)
            first = True
            async for output in self._llm.generate(prompt, params, str(next(self._numbers))):
                [piece] = output.outputs
                if first:
                    self.counters.reused += output.num_cached_tokens or 0
                    first = False
                self.counters.generated += len(piece.token_ids)
                post(Delta(tuple(piece.token_ids), piece.text))
            post(None)
        except asyncio.CancelledError:
            self.counters.aborted += 1
            raise
        except EngineError as error:
            post(error)
        except Exception as error:  # noqa: BLE001 - vLLM raises what it likes; told as the port's
            post(self._told(error))

    def _told(self, error: Exception) -> EngineError:
        if self._gone or self._llm.errored or isinstance(error, EngineDeadError):
            return EngineUnavailable(self._gone or _dead(self.shape))
        return EngineFailed(f"vLLM refuses: {one_line(str(error)) or type(error).__name__}")

    async def _watch(
        self, loop: asyncio.AbstractEventLoop, died: Callable[[str], None] | None
    ) -> None:
        while not self._llm.errored:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(_LOOK_S)
        if self._gone:
            return
        self._gone = _dead(self.shape)
        if died is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(died, self._gone)


async def _shut(llm: AsyncLLM) -> None:
    llm.shutdown()


def _stop(work: Future[None], post: _Post) -> None:
    """The consumer hears at once, the engine within a step."""
    work.cancel()
    post(None)


def _dead(shape: VllmShape) -> str:
    return (
        f"vLLM's engine core, which ran {shape.model}, has died, and the log has its last words. "
        f"If it was out of memory: lower {_less(shape.prefix)}."
    )


def _not_loaded(shape: VllmShape, error: Exception) -> EngineUnavailable:
    said = one_line(str(error)).rstrip(".") or type(error).__name__
    return EngineUnavailable(
        f"vLLM can't load {shape.model}: {said}. (The log says more. If it was out of memory: "
        f"lower {_less(shape.prefix)}.)"
    )


def _less(prefix: str) -> str:
    return (
        f"{prefix}_GPU_MEMORY_UTILIZATION, {prefix}_MAX_NUM_SEQS or {prefix}_MAX_NUM_BATCHED_TOKENS"
    )
