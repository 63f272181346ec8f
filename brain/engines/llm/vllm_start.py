"""Starting vLLM's `AsyncLLM` and ending its engine core, the process in which the model runs."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from multiprocessing.process import BaseProcess
from typing import Any

# Before vLLM is imported, which reads some of these then. A fork of a process with threads (ours)
# may hang; nobody outside is told what runs here; standard output is the brain's.
for _name, _value in {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(_name, _value)

from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: E402
from vllm.platforms import current_platform  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402

from brain.engines.llm.vllm_options import BRAIN_PID, VllmShape  # noqa: E402
from brain.engines.ports import Device  # noqa: E402

PATIENCE_S = 10.0
"""For a core that was told to end; then it is killed."""
_LOOK_S = 0.1
# (By its name: a process that imports it ends with the brain.)
_EXTENSION = "brain.engines.llm.vllm_child.EndsWithTheBrain"

# Two engines that start at once would each take the other's share of the GPU for free memory.
_starting = threading.Lock()


def device() -> Device:
    """Where vLLM computes on this machine."""
    return "cpu" if current_platform.is_cpu() else "gpu"


class Start:
    """One start. `run` blocks, on vLLM's thread; `abandon` makes it come to nothing."""

    def __init__(self, shape: VllmShape) -> None:
        self._shape = shape
        self._before: set[BaseProcess] | None = None
        self._abandoned = threading.Event()
        self.cores: tuple[BaseProcess, ...] = ()
        """Those that this start has brought about."""

    async def run(self) -> AsyncLLM:
        """The engine. (Asynchronous because it keeps to the event loop that it is made in.)"""
        while not _starting.acquire(timeout=_LOOK_S):
            self._raise_if_abandoned()
        try:
            self._raise_if_abandoned()
            self._before = set(multiprocessing.active_children())
            llm = AsyncLLM.from_engine_args(_arguments(self._shape))
            self.cores = self._started()
            if self._abandoned.is_set():
                llm.shutdown()
            self._raise_if_abandoned()
        except BaseException:
            end(self._started())
            raise
        else:
            return llm
        finally:
            self._before = None
            _starting.release()

    def abandon(self, run: Future[AsyncLLM]) -> None:
        """Nobody waits for it any more. Blocks until it has ended (a core may be yet to come, and
        would hold up the end of this process), or hangs."""
        self._abandoned.set()
        until = time.monotonic() + PATIENCE_S
        while not run.done() and time.monotonic() < until:
            for core in self._started():
                core.kill()
            time.sleep(_LOOK_S)

    def _started(self) -> tuple[BaseProcess, ...]:
        if self._before is None:
            return ()
        now = multiprocessing.active_children()
        return tuple(one for one in now if one not in self._before)

    def _raise_if_abandoned(self) -> None:
        if self._abandoned.is_set():
            raise InterruptedError("The start was broken off.")


def end(cores: Sequence[BaseProcess], patience: float = 0.0) -> bool:
    """See them end, each within `patience` seconds or killed: what holds a GPU's memory must be
    gone before another may want it. Blocks. Returns whether all have ended."""
    for core in cores:
        core.join(patience)
        if core.is_alive():
            core.kill()
            core.join(PATIENCE_S)
    return not any(core.is_alive() for core in cores)


def _arguments(shape: VllmShape) -> AsyncEngineArgs:
    os.environ[BRAIN_PID] = str(os.getpid())
    if shape.token:  # for the core too, which is a process of its own
        os.environ.setdefault("HF_TOKEN", shape.token)
    arguments: dict[str, Any] = {
        "model": shape.model,
        "dtype": shape.dtype,
        "gpu_memory_utilization": shape.share,
        "max_model_len": shape.context,
        "max_num_seqs": shape.sequences,
        # A prompt is computed in pieces, between the steps of what else is being written.
        "max_num_batched_tokens": max(shape.batch, shape.sequences),
        "enable_chunked_prefill": True,
        "enable_prefix_caching": True,
        # (What isn't named here is allowed, and memory set aside for it.)
        "limit_mm_per_prompt": {"image": shape.images, "video": 0, "audio": 0},
        # Of pictures made ready for the encoder it would keep 4 GB, in two processes that must keep
        # the same: one made ready for a prompt that is thrown away or cancelled would part them.
        "mm_processor_cache_gb": 0,
        # To compile takes minutes, which on a CPU never pay.
        "enforce_eager": current_platform.is_cpu(),
        # (This one of its grammars knows most of JSON Schema.) Without line breaks and blanks, of
        # which a small model may never tire.
        "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
        "disable_log_stats": True,
        "worker_extension_cls": _EXTENSION,
        **shape.more,
    }
    return AsyncEngineArgs(**arguments)
