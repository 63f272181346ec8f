"""PCM as the wire has it: signed 16-bit little-endian, mono."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Audio:
    """A piece of sound. `samples` int16 [n], mono; `sample_rate` in Hz."""

    samples: NDArray[np.int16]
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def from_bytes(data: bytes) -> NDArray[np.int16]:
    """int16 [n] from little-endian PCM. Raises ValueError for an odd number of bytes."""
    if len(data) % 2:
        raise ValueError(f"16-bit PCM has an even byte count, got {len(data)}")
    return np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)


def to_bytes(samples: NDArray[np.int16]) -> bytes:
    """Little-endian PCM of int16 [n]."""
    return samples.astype("<i2", copy=False).tobytes()


def to_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """float32 [n] in -1..1 from int16 [n]."""
    return samples.astype(np.float32) / 32768.0


def to_int16(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    """int16 [n] from float [n] in -1..1; what is louder is clipped."""
    clipped: NDArray[np.int16] = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    return clipped
