"""The labelled utterances: read, spoken, and put together with their pauses."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
FILE = Path(__file__).parent / "utterances.toml"
_BEFORE_S, _AFTER_S = 0.5, 3.0
_ROOM_DBFS = -60.0
# What is quieter than its loudest by so much is no speech any more.
_EDGE_DB = -34.0
_EDGE_WINDOW = RATE // 100


@dataclass(frozen=True)
class Utterance:
    """`pieces` with `pauses_ms` between them; of one `half` of the set and one `kind`."""

    half: str
    kind: str
    pieces: tuple[str, ...]
    pauses_ms: tuple[int, ...]

    @property
    def text(self) -> str:
        return " ".join(self.pieces)


@dataclass(frozen=True)
class Spoken:
    """An utterance as one voice says it, in a quiet room. `sound`: int16 at 16 kHz. `spans`: where
    each piece begins and ends, in s; the last one's end is the end of the turn."""

    utterance: Utterance
    voice: str
    sound: NDArray[np.int16]
    spans: tuple[tuple[float, float], ...]

    @property
    def end_s(self) -> float:
        return self.spans[-1][1]


def read(path: Path = FILE) -> list[Utterance]:
    """All of them, the tuning half first."""
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    halves = parser.loads(path.read_text(encoding="utf-8"))
    return [
        Utterance(
            half,
            kind,
            tuple(part for part in parts if isinstance(part, str)),
            tuple(part for part in parts if not isinstance(part, str)),
        )
        for half, kinds in halves.items()
        for kind, listed in kinds.items()
        for parts in listed
    ]


def spoken(
    utterance: Utterance, voice: str, say: Callable[[str], NDArray[np.float32]], seed: int
) -> Spoken:
    """`say` gives float32 at 16 kHz. Pieces are trimmed, so that pauses are as long as they say."""
    parts, spans, at = [np.zeros(int(_BEFORE_S * RATE), np.float32)], [], _BEFORE_S
    for piece, pause_ms in zip(utterance.pieces, (*utterance.pauses_ms, 0), strict=True):
        sound = _trimmed(say(piece))
        pause = np.zeros(pause_ms * RATE // 1000, np.float32)
        spans.append((at, at + len(sound) / RATE))
        at = spans[-1][1] + len(pause) / RATE
        parts += [sound, pause]
    whole = np.concatenate([*parts, np.zeros(int(_AFTER_S * RATE), np.float32)])
    room = _pink(len(whole), np.random.default_rng(seed))
    sound16 = (np.clip(whole + room, -1.0, 1.0) * 32767).astype(np.int16)
    return Spoken(utterance, voice, sound16, tuple(spans))


def _trimmed(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """From its first loud hundredth of a second to its last."""
    loud = [index for index, level in enumerate(_levels(sound)) if level > _EDGE_DB]
    return sound[loud[0] * _EDGE_WINDOW : (loud[-1] + 1) * _EDGE_WINDOW]


def _levels(sound: NDArray[np.float32]) -> Iterator[float]:
    """dB below the loudest, each hundredth of a second."""
    count = len(sound) // _EDGE_WINDOW
    windows = sound[: count * _EDGE_WINDOW].reshape(count, _EDGE_WINDOW)
    rms = np.sqrt(np.mean(windows.astype(np.float64) ** 2, axis=1))
    yield from 20 * np.log10(np.maximum(rms / rms.max(), 1e-9))


def _pink(samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, samples)
    scaled = noise / np.sqrt(np.mean(noise**2)) * 10 ** (_ROOM_DBFS / 20)
    return np.asarray(scaled, np.float32)
