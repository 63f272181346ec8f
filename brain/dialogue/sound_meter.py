"""How a robot's microphone sounds, for those who look for what is wrong with it.

Never what was said: counts and levels.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 10.0
"""The levels are those of so much sound, the last that came."""
_FOLD_S = 0.5

_FULL = 32768.0
_CLIPPED = 32767


@dataclass(frozen=True)
class _Piece:
    samples: int
    seconds: float
    energy: float
    low: int
    high: int
    clipped: int


class SoundMeter:
    """Told of every chunk of one session. Takes a microsecond a chunk: it looks at half a second
    at once."""

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()
        self._kept_s = 0.0
        self._fresh: list[NDArray[np.int16]] = []
        self._fresh_s = 0.0
        self._seconds = 0.0
        self._last_at: float | None = None

    def push(self, samples: NDArray[np.int16], sample_rate: int, now: float) -> None:
        """int16 [n] at `sample_rate` Hz came at `now`, seconds on any one clock."""
        if not len(samples):
            return
        seconds = len(samples) / sample_rate
        self._fresh.append(samples)
        self._fresh_s += seconds
        self._seconds += seconds
        self._last_at = now
        if self._fresh_s >= _FOLD_S:
            self._fold()

    def _fold(self) -> None:
        """Look at what hasn't been looked at."""
        if not self._fresh:
            return
        samples, seconds = np.concatenate(self._fresh), self._fresh_s
        self._fresh, self._fresh_s = [], 0.0
        low, high = int(samples.min()), int(samples.max())
        loud = samples.astype(np.float32)
        clipped = 0
        if high >= _CLIPPED or low <= -_CLIPPED:
            clipped = int(np.count_nonzero((samples >= _CLIPPED) | (samples <= -_CLIPPED)))
        piece = _Piece(len(samples), seconds, float(loud @ loud), low, high, clipped)
        self._pieces.append(piece)
        self._kept_s += seconds
        while self._kept_s - self._pieces[0].seconds >= WINDOW_S:
            self._kept_s -= self._pieces.popleft().seconds

    def account(self, now: float) -> dict[str, Any]:
        """What came, for a JSON report.

        `seconds` of sound in all; `silent_for_s`: since the last of it came (None: none has);
        `level_dbfs` (RMS) and `peak_dbfs` of the last 10 s of it, None for pure zeros; `clipped`:
        the share of its samples at full scale; `dead`: every sample of it is the same, as of a
        microphone that is muted or not there.
        """
        self._fold()
        samples = sum(piece.samples for piece in self._pieces)
        low = min((piece.low for piece in self._pieces), default=0)
        high = max((piece.high for piece in self._pieces), default=0)
        energy = sum(piece.energy for piece in self._pieces)
        clipped = sum(piece.clipped for piece in self._pieces)
        return {
            "seconds": round(self._seconds, 1),
            "silent_for_s": None if self._last_at is None else round(now - self._last_at, 1),
            "level_dbfs": _dbfs(math.sqrt(energy / samples)) if samples else None,
            "peak_dbfs": _dbfs(max(-low, high)),
            "clipped": round(clipped / samples, 4) if samples else 0.0,
            "dead": bool(samples) and low == high,
        }


def _dbfs(value: float) -> float | None:
    return round(20 * math.log10(value / _FULL), 1) if value > 0 else None
