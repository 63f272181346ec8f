"""Silence that can wait: while nobody speaks, a robot's sound is looked at less often.

To have a detector judge a frame costs most by getting there: its weights have left the processor's
caches since the last one, and the actor must wake. So the frames of a silent robot are judged
several at once, until a sound comes that is louder than the silence was: from then on each at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LOUDER = 2.0  # 6 dB
_FAINT = 33.0  # -60 dBFS: never news
# From one frame to the next, silence is known to be no more than so much louder, or fainter: what
# is loud all at once may be a first sound that isn't plain speech yet.
_RISES, _FADES = 1.25, 0.9


class Lull:
    """How loud one microphone's silence is. Sound is int16 [n]."""

    def __init__(self) -> None:
        self._loudest = _FAINT

    def goes_on(self, samples: NDArray[np.int16]) -> bool:
        """Whether this is no louder than silence is."""
        return _peak(samples) <= _LOUDER * self._loudest

    def was_silence(self, samples: NDArray[np.int16]) -> None:
        """Nobody has spoken in this frame, says the detector."""
        before = self._loudest
        peak = min(max(_peak(samples), _FADES * before), _RISES * before)
        self._loudest = max(peak, _FAINT)


def _peak(samples: NDArray[np.int16]) -> int:
    return max(int(samples.max(initial=0)), -int(samples.min(initial=0)))
