"""The SNAC decoder (24 kHz) as an ONNX file: codes in, sound out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from brain.engines.one_line import one_line
from brain.engines.ports import EngineFailed, EngineUnavailable
from brain.engines.tts.orpheus.frames import FRAME_SAMPLES, FRAME_TOKENS, Frame, layers
from brain.engines.worker import Worker


class SnacDecoder:
    """Three layers of codes to samples. Blocks; on the CPU, `threads` of it, which don't spin.

    The inputs' names are the file's own, in the order of the layers. Raises `EngineUnavailable`.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        if not path.is_file():
            raise EngineUnavailable(
                f"There is no file {path}: ORPHEUS_DECODER_PATH is SNAC's decoder as ONNX; brain "
                "models pull snac fetches it."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common root of their own
            raise EngineUnavailable(
                f"{path} is not a decoder that loads: {one_line(str(error))}"
            ) from error
        self._inputs = [given.name for given in self._session.get_inputs()]
        if len(self._inputs) != len(layers([])):
            raise EngineUnavailable(
                f"{path} has {len(self._inputs)} inputs; SNAC's decoder has three, its layers."
            )
        try:
            self.decode([(0,) * FRAME_TOKENS])
        except EngineFailed as error:
            raise EngineUnavailable(f"{path} is not SNAC's decoder at 24 kHz: {error}") from error

    def decode(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """float32 [n * 2048] in -1..1 at 24 kHz, of n frames. Raises `EngineFailed`."""
        feeds = dict(zip(self._inputs, layers(frames), strict=True))
        try:
            made = self._session.run(None, feeds)[0]
        except Exception as error:  # onnxruntime's errors have no common root of their own
            raise EngineFailed(f"SNAC's decoder failed: {one_line(str(error))}") from error
        samples: NDArray[np.float32] = np.asarray(made, np.float32).reshape(-1)
        if len(samples) != len(frames) * FRAME_SAMPLES:
            raise EngineFailed(
                f"SNAC's decoder made {len(samples)} samples of {len(frames)} frames, not "
                f"{FRAME_SAMPLES} of each."
            )
        if not np.isfinite(samples).all():
            raise EngineFailed(
                "SNAC's decoder computes what isn't a number: its file may be damaged (see brain "
                "models verify)."
            )
        return samples


class SnacOnThread:
    """A `SnacDecoder` on a thread of its own: a `SoundDecoder`."""

    def __init__(self, worker: Worker, decoder: SnacDecoder) -> None:
        self._worker = worker
        self._decoder = decoder

    @classmethod
    async def load(cls, path: Path, *, threads: int = 1) -> SnacOnThread:
        """As `SnacDecoder`."""
        worker = Worker("snac")
        try:
            return cls(worker, await worker.run(lambda: SnacDecoder(path, threads=threads)))
        except BaseException:
            await worker.close()
            raise

    async def decode(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """As `SoundDecoder.decode`."""
        return await self._worker.run(self._decoder.decode, frames)

    async def close(self) -> None:
        """End the thread. Closing twice is the same as once."""
        await self._worker.close()
