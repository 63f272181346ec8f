"""Sound as numbers: conversion, streaming resampling, noise, and where speech ends. Pure.

PCM is signed 16-bit mono everywhere in this package: `NDArray[np.int16]` of shape (samples,).
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

PCM = NDArray[np.int16]


def to_pcm(samples: NDArray[np.float32]) -> PCM:
    """Float sound of shape (samples,), full scale 1.0, as PCM; what is louder is clipped."""
    scaled: NDArray[np.float32] = np.rint(samples * 32767.0)
    pcm: PCM = np.clip(scaled, -32768, 32767).astype(np.int16)
    return pcm


def to_float(pcm: PCM) -> NDArray[np.float32]:
    """PCM as float32 of the same shape, full scale 1.0."""
    samples: NDArray[np.float32] = pcm.astype(np.float32) / np.float32(32767.0)
    return samples


def from_bytes(data: bytes) -> PCM:
    """Little-endian bytes as PCM. Raises `ValueError` for an odd count."""
    return np.frombuffer(data, dtype="<i2").astype(np.int16)


def to_bytes(pcm: PCM) -> bytes:
    """PCM as little-endian bytes."""
    return pcm.astype("<i2").tobytes()


class Resampler:
    """A stream from one rate to another, Hz; its state is kept across chunks (soxr, HQ)."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._stream = (
            soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")
            if from_rate != to_rate
            else None
        )

    def feed(self, pcm: PCM, *, last: bool = False) -> PCM:
        """The next chunk; what comes out lags until `last` lets the rest out."""
        if self._stream is None:
            return pcm
        out: NDArray[np.float32] = self._stream.resample_chunk(to_float(pcm), last=last)
        return to_pcm(out)


def resample(pcm: PCM, from_rate: int, to_rate: int) -> PCM:
    """A whole recording at another rate, Hz."""
    return Resampler(from_rate, to_rate).feed(pcm, last=True)


def room_noise(samples: int, level_dbfs: float, seed: int = 0) -> NDArray[np.float32]:
    """Pink noise of shape (samples,) at a level (RMS, dB under full scale).

    A real room is never digitally silent, and end-pointing on zeros would flatter the brain.
    """
    if samples <= 0:
        return np.zeros(0, np.float32)
    white = np.random.default_rng(seed).standard_normal(max(samples, 16))
    spectrum = np.fft.rfft(white)
    spectrum /= np.sqrt(np.arange(len(spectrum)).clip(1))  # power falls as 1/f
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, len(white))[:samples]
    rms = float(np.sqrt(np.mean(noise**2))) or 1.0
    scaled: NDArray[np.float32] = (noise * (10 ** (level_dbfs / 20) / rms)).astype(np.float32)
    return scaled


def speech_bounds(pcm: PCM, sample_rate: int) -> tuple[int, int]:
    """First and one past the last sample of speech, by energy; (0, 0) if there is none.

    Speech is every 10 ms frame within 35 dB of the loudest and above -55 dBFS (RMS).
    """
    frame = max(1, sample_rate // 100)
    count = len(pcm) // frame
    if not count:
        return 0, 0
    frames = to_float(pcm[: count * frame]).reshape(count, frame)
    rms = np.sqrt(np.mean(frames**2, axis=1))
    loud = np.flatnonzero(rms > max(float(rms.max()) * 10 ** (-35 / 20), 10 ** (-55 / 20)))
    if not len(loud):
        return 0, 0
    return int(loud[0]) * frame, (int(loud[-1]) + 1) * frame
