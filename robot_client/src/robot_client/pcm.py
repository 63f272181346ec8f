"""Sound as numbers: conversion, streaming resampling, noise, and where speech ends. Pure.

PCM is signed 16-bit mono everywhere in this package: `NDArray[np.int16]` of shape (samples,).
Full scale, 1.0 as a float, is 32768, as in every sound library that this package meets: what a
device gives as float from a 16-bit converter comes back bit for bit.

Rounding to 16 bits is not dithered. Dither would raise the noise of all sound by 4.8 dB (measured
on a sine of -20 dBFS: -78 dB of it without, -73 dB with) to make that of sound near the last bit
even, which no microphone's own noise lets anybody hear; and the same sound would no longer give
the same bytes.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
from numpy.typing import NDArray

PCM = NDArray[np.int16]


def to_pcm(samples: NDArray[np.float32]) -> PCM:
    """Float sound of shape (samples,), full scale 1.0, as PCM; what is louder is clipped."""
    scaled: NDArray[np.float32] = np.rint(samples * np.float32(32768.0))
    pcm: PCM = np.clip(scaled, -32768, 32767).astype(np.int16)
    return pcm


def to_float(pcm: PCM) -> NDArray[np.float32]:
    """PCM as float32 of the same shape, full scale 1.0."""
    samples: NDArray[np.float32] = pcm.astype(np.float32) / np.float32(32768.0)
    return samples


def from_bytes(data: bytes) -> PCM:
    """Little-endian bytes as PCM. Raises `ValueError` for an odd count."""
    return np.frombuffer(data, dtype="<i2").astype(np.int16)


def to_bytes(pcm: PCM) -> bytes:
    """PCM as little-endian bytes."""
    return pcm.astype("<i2").tobytes()


class Resampler:
    """A stream from one rate to another, Hz; its state is kept across chunks (soxr, HQ).

    The chunks don't show: however a stream is cut, what comes out is the same to the last bit, and
    `round(samples * to_rate / from_rate)` of it in all. Equal rates cost nothing.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self.from_rate = from_rate
        self._stream = (
            soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")
            if from_rate != to_rate
            else None
        )

    @property
    def held(self) -> int:
        """Samples at the new rate that `last` would let out now."""
        return 0 if self._stream is None else math.floor(self._stream.delay() + 0.5)

    def feed(self, pcm: PCM, *, last: bool = False) -> PCM:
        """The next chunk; what comes out lags until `last` lets the rest out.

        After `last` a new stream begins.
        """
        return pcm if self._stream is None else to_pcm(self.feed_float(to_float(pcm), last=last))

    def feed_float(
        self, samples: NDArray[np.float32], *, last: bool = False
    ) -> NDArray[np.float32]:
        """As `feed`, before the rounding to 16 bits."""
        if self._stream is None:
            return samples
        out: NDArray[np.float32] = self._stream.resample_chunk(samples, last=last)
        if last:
            self._stream.clear()
        return out


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
