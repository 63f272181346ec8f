"""What tells speech where Silero can't be loaded: that somebody is louder than the room.

It takes a door for a word, and so the ears are asked more often than they need be; but they and
their gate throw that away, and a robot that is spoken to is answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain.engines.ports import EngineFailed, EngineInfo, VoiceStream

FRAME = 512
_ROOM_DBFS = -55.0
"""Where nothing has been heard yet; and no room is taken to be quieter than `_QUIETEST_DBFS`."""
_QUIETEST_DBFS = -65.0
# The room's loudness falls to that of the quietest frame at once, and rises by 1.5 dB a second: a
# fan that is switched on is the room soon, a sentence isn't.
_RISE_DB = 1.5 * FRAME / 16_000
# Above the room by so much is surely no speech, and surely speech.
_NO_DB, _YES_DB = 4.0, 16.0


@dataclass
class LoudnessStream:
    """What the detector remembers of one microphone: how loud the room is, dBFS."""

    room: float = _ROOM_DBFS

    def reset(self) -> None:
        """Forget all that was heard."""
        self.room = _ROOM_DBFS


class LoudnessDetector:
    """A `VoiceDetector` that needs no model."""

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("loudness", "louder than the room", "cpu")

    @property
    def frame_samples(self) -> int:
        return FRAME

    def new_stream(self) -> LoudnessStream:
        return LoudnessStream()

    def probabilities(
        self, streams: Sequence[VoiceStream], frames: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """As `VoiceDetector.probabilities`. Not-a-number samples are taken as silence."""
        mine = [stream for stream in streams if isinstance(stream, LoudnessStream)]
        if len(mine) != len(streams) or (streams and frames.shape != (len(streams), FRAME)):
            raise EngineFailed(f"Expected {len(streams)} frames of {FRAME} samples.")
        return np.array(
            [_probability(stream, frame) for stream, frame in zip(mine, frames, strict=False)],
            np.float32,
        )


def _probability(stream: LoudnessStream, frame: NDArray[np.float32]) -> float:
    clean = np.nan_to_num(frame.astype(np.float64), posinf=1.0, neginf=-1.0)
    level = 10 * float(np.log10(np.mean(np.square(clean)) + 1e-10))
    above = level - stream.room
    stream.room = max(min(level, stream.room + _RISE_DB), _QUIETEST_DBFS)
    return min(max((above - _NO_DB) / (_YES_DB - _NO_DB), 0.0), 1.0)
