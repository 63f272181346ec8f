"""Sines, and how far from one a sound is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sine(hz: float, rate: int, seconds: float, dbfs: float = -20.0) -> NDArray[np.float64]:
    """Shape (samples,); the peak is at `dbfs`, as AES17 counts."""
    return 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def thd_n(sound: NDArray[np.generic], hz: float, rate: int) -> float:
    """Total harmonic distortion and noise, dB: RMS of all that isn't the sine, over the sine's.

    The sine is found as in IEEE Std 1057 (three-parameter least-squares fit, known frequency);
    what counts as distortion is AES17's: everything but the sine, up to half the sample rate.
    """
    angle = 2 * np.pi * hz * np.arange(len(sound)) / rate
    parts = np.stack([np.sin(angle), np.cos(angle), np.ones(len(sound))], axis=1)
    values = sound.astype(np.float64)
    weights = np.linalg.lstsq(parts, values, rcond=None)[0]
    found, offset = parts[:, :2] @ weights[:2], weights[2]
    return float(10 * np.log10(np.mean((values - found - offset) ** 2) / np.mean(found**2)))
