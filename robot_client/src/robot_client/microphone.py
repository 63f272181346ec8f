"""Whatever a microphone's library hands over, as the wire has it: mono 16-bit PCM at one rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_client.pcm import PCM, Resampler, to_pcm

# What one channel's integers are worth: (zero, full scale).
_INTEGERS = {
    np.dtype(np.uint8): (128, 2**7),  # the one unsigned format, as in WAV files
    np.dtype(np.int16): (0, 2**15),
    np.dtype(np.int32): (0, 2**31),
}
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_MOST_CHANNELS = 16  # an axis that is longer is time
_LOWEST, _HIGHEST = 1_000, 1_000_000  # Hz; beyond them isn't a sample rate but a mistake


class Microphone:
    """A microphone's chunks in, wire PCM out; no chunk's border can be heard.

    `wire_rate` is Hz. What comes out lags by 6 to 40 ms if the microphone has another rate, and
    by up to 115 ms for 8 kHz. Not thread-safe: feed it from one thread or one event loop.
    """

    def __init__(self, wire_rate: int) -> None:
        self.wire_rate = wire_rate
        self._resampler: Resampler | None = None
        self._wide: bool | None = None  # whether channels come first, once a frame has shown it

    def feed(self, rate: int, frame: NDArray[Any]) -> PCM:
        """The next chunk, at `rate` Hz, of which channel 0 is taken.

        Shape (samples,), (samples, channels) or (channels, samples): of two axes the longer one is
        time, of two equal ones the first. A frame so short that its samples could be channels is
        laid out as the one before it. dtype float32 or float64 (full scale 1.0; what is louder
        is clipped, NaN and infinity are silence), int16, int32, or uint8 (128 is zero), in any
        byte order or memory layout.

        Rate, shape and dtype may change at any time: another rate begins a new stream after the
        last of the old one. Returns shape (any,), maybe empty. Raises `ValueError`, and keeps its
        state, for what isn't sound.
        """
        samples = _floats(self._channel(np.asarray(frame)))
        resampler = self._at(rate)
        if resampler is self._resampler:
            return to_pcm(resampler.feed_float(samples))
        before, self._resampler = self._resampler, resampler
        rest = [before.feed_float(np.zeros(0, np.float32), last=True)] if before else []
        return to_pcm(np.concatenate([*rest, resampler.feed_float(samples)]))

    def _channel(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Channel 0, shape (samples,). Raises `ValueError` for more axes than two, or none."""
        if frame.ndim == 1:
            return frame
        if frame.ndim != 2:
            raise ValueError(f"sound has one or two axes, not the shape {frame.shape}")
        if not frame.size:
            return frame.reshape(-1)
        samples, channels = frame.shape
        wide = channels > samples
        if max(frame.shape) > _MOST_CHANNELS:
            self._wide = wide
        elif self._wide is not None:
            wide = self._wide
        return frame[0] if wide else frame[:, 0]

    def _at(self, rate: int) -> Resampler:
        if self._resampler is not None and self._resampler.from_rate == rate:
            return self._resampler
        if not _LOWEST <= rate <= _HIGHEST or rate != int(rate):
            raise ValueError(f"{rate} isn't a sample rate in Hz")
        return Resampler(int(rate), self.wire_rate)


def _floats(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Full scale 1.0. Raises `ValueError` for a dtype that isn't sound's."""
    kind = samples.dtype.newbyteorder("=")
    if kind in _INTEGERS:
        zero, full = _INTEGERS[kind]
        # float64 holds every int32, so that there is one rounding and not two.
        return ((samples.astype(np.float64) - zero) / full).astype(np.float32)
    if kind not in _FLOATS:
        raise ValueError(f"sound is float32, float64, int16, int32 or uint8, not {samples.dtype}")
    sane = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    clipped: NDArray[np.float32] = np.clip(sane, -1.0, 1.0).astype(np.float32)
    return clipped
