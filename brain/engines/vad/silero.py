"""Silero's voice detector, without torch: its ONNX file straight in onnxruntime.

Form of the model (silero-vad 6, 16 kHz): `input` float32 [batch, 64 + 512], the last 64 samples of
what came before and 512 new ones; `state` float32 [2, batch, 128]; `sr` int64; gives the speech
probability [batch, 1] and the new state.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from brain.engines.ports import EngineFailed, EngineInfo, EngineUnavailable, VoiceStream

FRAME, CONTEXT = 512, 64
_STATE = (2, 128)
_MODEL = "silero_vad_16k_op15.onnx"
_RATE = np.array(16000, dtype=np.int64)


class SileroStream:
    """What the detector remembers of one microphone."""

    def __init__(self) -> None:
        self.state: NDArray[np.float32] = np.zeros(_STATE, np.float32)
        self.context: NDArray[np.float32] = np.zeros(CONTEXT, np.float32)

    def reset(self) -> None:
        """Forget all that was heard."""
        self.state = np.zeros(_STATE, np.float32)
        self.context = np.zeros(CONTEXT, np.float32)


class SileroDetector:
    """A `VoiceDetector`: one call on one thread for any number of streams.

    `path`: the ONNX file; None is the one in the silero-vad package. Raises `EngineUnavailable`.
    """

    def __init__(self, path: Path | None = None) -> None:
        model = path if path is not None else _packaged_model()
        options = onnxruntime.SessionOptions()
        # Called 31 times a second a robot: threads that wait by spinning would burn a core.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises a dozen types of its own
            raise EngineUnavailable(
                f"The voice detector {model} can't be loaded: {error}"
            ) from error

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("silero", "Silero VAD 6 (ONNX)", "cpu")

    @property
    def frame_samples(self) -> int:
        return FRAME

    def new_stream(self) -> SileroStream:
        return SileroStream()

    def probabilities(
        self, streams: Sequence[VoiceStream], frames: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """As `VoiceDetector.probabilities`. Not-a-number samples are taken as silence."""
        if not streams:
            return np.zeros(0, np.float32)
        mine = [stream for stream in streams if isinstance(stream, SileroStream)]
        if len(mine) != len(streams) or frames.shape != (len(streams), FRAME):
            raise EngineFailed(f"Expected {len(streams)} frames of {FRAME} samples.")
        if not np.isfinite(frames).all():  # (to look is much less work than to mend)
            frames = np.nan_to_num(frames, posinf=1.0, neginf=-1.0)
        sound = np.empty((len(mine), CONTEXT + FRAME), np.float32)
        state = np.empty((_STATE[0], len(mine), _STATE[1]), np.float32)
        sound[:, CONTEXT:] = frames
        for index, stream in enumerate(mine):
            sound[index, :CONTEXT] = stream.context
            state[:, index] = stream.state
        feed = {"input": sound, "state": state, "sr": _RATE}
        try:
            output, new_state = self._session.run(None, feed)
        except Exception as error:  # as above
            raise EngineFailed(f"The voice detector failed: {error}") from error
        for index, stream in enumerate(mine):
            stream.state = new_state[:, index, :]
            stream.context = sound[index, -CONTEXT:].copy()
        return np.asarray(output, dtype=np.float32)[:, 0]


def _packaged_model() -> Path:
    # To import the package would import torch; its data folder is all that is wanted.
    spec = importlib.util.find_spec("silero_vad")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        model = Path(folder, "data", _MODEL)
        if model.is_file():
            return model
    raise EngineUnavailable("There is no Silero VAD: install the package silero-vad 6.2 or later.")
