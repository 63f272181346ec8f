"""What the voice first learns to predict: WORLD's view of speech, thinned out.

At every hop of 128 samples: 64 knots of the log amplitude envelope on the mel scale, the
aperiodicity in 8 bands, the pitch and whether there is voice. The analysis is WORLD's (dio,
stonemask, cheaptrick, d4c; Morise et al. 2016) by `pyworld`.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyworld  # type: ignore[import-untyped]
from numpy.typing import NDArray

from . import espeak
from .espeak import AlignmentError, Speaker

RATE = espeak.RATE
"""Hz, of everything here."""
HOP = 128
"""Samples between feature frames."""
FRAME = 2 * HOP
"""Samples between the frames of the network; each predicts two feature frames."""
FFT = 1024
BINS = FFT // 2 + 1
KNOTS = 64
BANDS = 8
BAND_CENTRES = (0.0, 500.0, 1200.0, 2200.0, 3500.0, 5200.0, 7500.0, 11025.0)
"""Hz; between them the aperiodicity is a straight line."""
FLOOR = -11.5
"""Smallest log amplitude, about -100 dB of full scale."""


@dataclass(frozen=True)
class Utterance:
    """A sentence to learn. F is the number of network frames, all arrays are C-ordered."""

    text: str
    tokens: tuple[str, ...]
    durations: NDArray[np.float32]
    """Network frames a token, not rounded."""
    envelope: NDArray[np.float16]
    """[2 F, KNOTS] natural log of amplitude."""
    aperiodicity: NDArray[np.float16]
    """[2 F, BANDS] amplitude ratio, 0 to 1."""
    log_f0: NDArray[np.float32]
    """[2 F] natural log of Hz, interpolated where there is no voice."""
    voiced: NDArray[np.bool_]
    """[2 F]"""
    samples: NDArray[np.int16]
    """[F * FRAME] at 22,050 Hz."""


def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mel scale, HTK's formula."""
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def knot_hertz() -> NDArray[np.float64]:
    """Centres of the envelope's knots, evenly spaced in mel from 0 Hz to Nyquist."""
    mels = np.linspace(0.0, float(mel(np.array(RATE / 2))), KNOTS)
    return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)


def interpolation(at: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """[len(at), len(knots)] matrix of straight-line interpolation between sorted `knots`."""
    eye = np.eye(len(knots))
    return np.stack([np.interp(at, knots, eye[k]) for k in range(len(knots))], axis=1)


def bin_hertz() -> NDArray[np.float64]:
    """Centres of the DFT's bins."""
    return np.arange(BINS) * RATE / FFT


def analyse(samples: NDArray[np.int16]) -> dict[str, NDArray[np.generic]]:
    """WORLD features of int16 samples whose number is a multiple of FRAME."""
    frames = len(samples) // HOP
    signal = samples.astype(np.float64) / 32768.0
    period = HOP / RATE * 1000.0
    coarse, times = pyworld.dio(signal, RATE, f0_floor=55.0, f0_ceil=260.0, frame_period=period)
    f0 = pyworld.stonemask(signal, coarse, times, RATE)
    spectrum = pyworld.cheaptrick(signal, f0, times, RATE, fft_size=FFT)
    ratio = pyworld.d4c(signal, f0, times, RATE, fft_size=FFT)
    voiced = f0 > 0.0
    places = np.flatnonzero(voiced)
    filled = np.interp(np.arange(len(f0)), places, f0[places]) if len(places) else f0 + 100.0
    log_amplitude = np.maximum(0.5 * np.log(np.maximum(spectrum, 1e-14)), FLOOR)
    envelope = log_amplitude @ interpolation(knot_hertz(), bin_hertz()).T
    bands = ratio @ interpolation(np.array(BAND_CENTRES), bin_hertz()).T
    return {
        "envelope": np.ascontiguousarray(envelope[:frames], np.float16),
        "aperiodicity": np.ascontiguousarray(bands[:frames], np.float16),
        "log_f0": np.log(filled[:frames]).astype(np.float32),
        "voiced": voiced[:frames],
    }


_speaker: Speaker | None = None


def _make(text: str) -> Utterance | None:
    global _speaker  # noqa: PLW0603  (espeak-ng is global to the process)
    if _speaker is None:
        _speaker = Speaker()
    try:
        spoken = _speaker.align(text)
    except AlignmentError:
        return None
    padding = -len(spoken.samples) % FRAME
    samples = np.pad(spoken.samples, (0, padding))
    durations = spoken.durations / FRAME
    durations[-1] += padding / FRAME
    return Utterance(
        text=text,
        tokens=spoken.tokens,
        durations=durations.astype(np.float32),
        samples=samples,
        **analyse(samples),  # type: ignore[arg-type]
    )


def make(texts: list[str], processes: int = 1) -> Iterator[Utterance | None]:
    """Speak and analyse `texts`, in order; None for one that could not be aligned."""
    if processes == 1:
        yield from map(_make, texts)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(_make, texts, chunksize=16)


def save(utterances: list[Utterance], path: Path) -> None:
    """Write by way of a temporary name, so that a broken run leaves no half file."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        pickle.dump(utterances, file, protocol=pickle.HIGHEST_PROTOCOL)
    partial.replace(path)


def load(path: Path) -> list[Utterance]:
    """Read what `save` wrote. Only for our own work files: pickle runs what it reads."""
    with path.open("rb") as file:
        loaded: list[Utterance] = pickle.load(file)  # noqa: S301
    return loaded
