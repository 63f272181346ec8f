"""How long a robot's user pauses in the middle of a turn, as far as that has been seen."""

from __future__ import annotations

import math
from collections import deque

from brain.dialogue.state import samples

# Turns that are looked back on, and how many it takes to speak of a habit.
_TURNS, _ENOUGH = 20, 5
# In so many of them the longest pause was no longer than the habit.
_SHARE = 0.8
# Whoever begins anew after more than this has begun something new.
_LONGEST = samples(1_500)


class Pauses:
    """Of one robot, in samples at 16 kHz. In memory alone: of another process it knows nothing."""

    def __init__(self) -> None:
        self._longest: deque[list[int]] = deque(maxlen=_TURNS)  # turn, its longest pause

    @property
    def habit(self) -> int:
        """Four of five turns had no longer pause than this; 0 as long as too few were heard."""
        if len(self._longest) < _ENOUGH:
            return 0
        pauses = sorted(pause for _, pause in self._longest)
        return pauses[math.ceil(_SHARE * len(pauses)) - 1]

    def ended(self, turn: int) -> None:
        """This turn is over, or was believed to be."""
        self.paused(turn, 0)

    def paused(self, turn: int, pause: int) -> None:
        """So much silence was followed by more speech, of the turn or right after it."""
        if pause > _LONGEST:
            return
        if not self._longest or self._longest[-1][0] != turn:
            self._longest.append([turn, 0])
        self._longest[-1][1] = max(self._longest[-1][1], pause)

    def forget(self) -> None:
        """Somebody else speaks."""
        self._longest.clear()
