"""Sample-rate conversion of a stream, with soxr: no clicks where one piece meets the next."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from brain.audio.pcm import Audio


class Resampler:
    """Converts one stream of int16 mono from `source` to `target` Hz, piece by piece."""

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        self._stream = (
            None if source == target else soxr.ResampleStream(source, target, 1, dtype="int16")
        )

    def push(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """What is ready of the output after int16 [n] of input; may be empty."""
        return samples if self._stream is None else self._convert(samples, last=False)

    def flush(self) -> NDArray[np.int16]:
        """The rest of the output. The stream is over."""
        empty = np.zeros(0, np.int16)
        return empty if self._stream is None else self._convert(empty, last=True)

    def _convert(self, samples: NDArray[np.int16], *, last: bool) -> NDArray[np.int16]:
        assert self._stream is not None
        converted: NDArray[np.int16] = self._stream.resample_chunk(samples, last=last)
        return converted


def resampled(audio: Audio, sample_rate: int) -> Audio:
    """A whole sound at another rate, in Hz."""
    resampler = Resampler(audio.sample_rate, sample_rate)
    samples = np.concatenate((resampler.push(audio.samples), resampler.flush()))
    return Audio(samples, sample_rate)
