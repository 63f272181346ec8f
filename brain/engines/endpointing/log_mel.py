"""Whisper's log-mel picture of a sound, as `transformers` makes it with `do_normalize`."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

RATE = 16_000
MELS = 80
_WINDOW, _HOP = 400, 160  # samples
# Slaney's scale: linear up to 1 kHz (its mel 15), then 27 steps for each factor of 6.4.
_HZ_A_MEL, _KNEE_MEL, _KNEE_HZ, _STEP = 200 / 3, 15.0, 1_000.0, np.log(6.4) / 27
_TINY, _EPSILON = 1e-10, 1e-7


def log_mel(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [80, n // 160] of `sound`, float32 [n] at 16 kHz with n a multiple of 160.

    The sound is brought to zero mean and unit variance first.
    """
    even = (sound - sound.mean()) / np.sqrt(sound.var() + _EPSILON)
    around = np.pad(even.astype(np.float64), _WINDOW // 2, mode="reflect")
    frames = sliding_window_view(around, _WINDOW)[:-1:_HOP][: len(sound) // _HOP]
    power = np.abs(np.fft.rfft(frames * _HANN)) ** 2
    mels = np.log10(np.maximum(power @ _FILTERS, _TINY)).T
    picture: NDArray[np.float32] = ((np.maximum(mels, mels.max() - 8.0) + 4.0) / 4.0).astype(
        np.float32
    )
    return picture


def _filters() -> NDArray[np.float64]:
    """[201, 80]: triangles on Slaney's scale, each of area 1 (in Hz)."""
    most = _KNEE_MEL + np.log(RATE / 2 / _KNEE_HZ) / _STEP
    mels = np.linspace(0.0, most, MELS + 2)
    edges = np.where(
        mels < _KNEE_MEL, mels * _HZ_A_MEL, _KNEE_HZ * np.exp((mels - _KNEE_MEL) * _STEP)
    )
    hertz = np.linspace(0.0, RATE / 2, _WINDOW // 2 + 1)[:, np.newaxis]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (hertz - left) / (middle - left), (right - hertz) / (right - middle)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (right - left)
    return np.asarray(triangles, np.float64)


_HANN = np.hanning(_WINDOW + 1)[:-1]
_FILTERS = _filters()
