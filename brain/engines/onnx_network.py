"""An engine's network on onnxruntime: loaded alike for all of them, and ended by a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from brain.engines.one_line import one_line
from brain.engines.ports import CancelToken, EngineFailed, EngineUnavailable

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_CUDA_OPTIONS = {
    # Of itself it tries all ways of computing a convolution for each length of text that is new.
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}


def cuda_there() -> bool:
    """Whether this onnxruntime was built for CUDA."""
    return CUDA in onnxruntime.get_available_providers()


class Network:
    """An ONNX session, as the engines' own libraries use it, whose run a token ends between two
    nodes."""

    def __init__(
        self, file: Path, *, advice: str, threads: int = 1, cuda: bool = False, what: str = "voice"
    ) -> None:
        """Load `file`; blocks for up to seconds. Raises `EngineUnavailable`.

        `threads` is the budget of onnxruntime's pool, which doesn't spin when idle. `cuda`: on the
        GPU, what can be. `advice` is what to do if a run fails, `what` the network is to people.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False  # the arena keeps the longest sentence's memory
        providers: list[Any] = [(CUDA, _CUDA_OPTIONS), CPU] if cuda else [CPU]
        try:
            session = onnxruntime.InferenceSession(
                str(file), sess_options=options, providers=providers
            )
        except Exception as error:  # onnxruntime's errors have no common root of their own
            said = one_line(str(error))
            raise EngineUnavailable(f"{file} is not a {what} that loads: {said}") from error
        self._session: onnxruntime.InferenceSession | None = session
        self._advice = advice
        self._what = what
        self._token = CancelToken()
        self._running: onnxruntime.RunOptions | None = None
        self._stopped = False
        self._model_path = str(file)  # kokoro-onnx looks for it in a session

    def under(self, token: CancelToken) -> None:
        """From now on `token` ends the runs."""
        self._token = token

    def stop(self) -> None:
        """End the run that is under way, from any thread, and allow no other."""
        self._stopped = True
        running = self._running
        if running is not None:
            running.terminate = True

    def free(self) -> None:
        """Let go of the network, and its memory."""
        self._stopped = True
        self._session = None

    @property
    def on_gpu(self) -> bool:
        """Whether it really computes there."""
        return CUDA in self._there().get_providers()

    def get_inputs(self) -> Any:
        """As `InferenceSession.get_inputs`; so are the next two."""
        return self._there().get_inputs()

    def get_outputs(self) -> Any:
        return self._there().get_outputs()

    def get_modelmeta(self) -> Any:
        return self._there().get_modelmeta()

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, Any]) -> Any:
        """As `InferenceSession.run`. Raises `Cancelled`, `EngineFailed`, `EngineUnavailable`."""
        options = onnxruntime.RunOptions()

        def terminate() -> None:
            options.terminate = True

        self._token.on_cancel(terminate)
        self._running = options
        session = self._there()  # (after the line above, or `stop` in between were lost)
        try:
            return session.run(outputs, feeds, options)
        except Exception as error:  # onnxruntime's errors have no common root of their own
            self._token.raise_if_cancelled()
            self._there()
            said = one_line(str(error))
            raise EngineFailed(f"the {self._what} failed: {said}; {self._advice}") from error
        finally:
            self._running = None

    def _there(self) -> onnxruntime.InferenceSession:
        if self._session is None or self._stopped:
            raise EngineUnavailable(f"The {self._what} is closed.")
        return self._session
