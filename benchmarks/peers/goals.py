"""The goals, and whether they are met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.figures import Figures

BETTER = 0.60
"""Of the better peer: no later than so much of its time to the first sound."""
ZERO_MS = 15.0
OVERHEAD_MS = 10.0
FIRST_MS = 30.0
"""The first turn is as fast as the tenth if it is no later than by so much: the detector's frames
alone make 32 ms of difference from one turn to another."""


@dataclass(frozen=True)
class Goal:
    """`figure` is to be at most `limit`; NaN: it wasn't measured."""

    name: str
    figure: float
    limit: float
    unit: str = "ms"
    note: str = ""

    @property
    def measured(self) -> bool:
        return not math.isnan(self.figure)

    @property
    def met(self) -> bool:
        return self.measured and self.figure <= self.limit

    @property
    def verdict(self) -> str:
        if not self.measured:
            return "not measured"
        return "met" if self.met else "MISSED"


def of_rows(rows: Mapping[str, Figures]) -> list[Goal]:
    """Ours beside the peers'."""
    sentence = _least(rows, ("pipecat-sentence", "s2s-sentence"))
    token = _least(rows, ("pipecat-token",))
    return [
        _beside("by sentence: ours / the better peer", rows, "ours", sentence),
        _beside("hearing streamed: ours / pipecat by token", rows, "ours-partials", token),
    ]


def of_own(zero: Sequence[float], fixed: Sequence[float]) -> list[Goal]:
    """What our server takes, in ms a turn, beyond the silence alone (`zero`: engines that cost
    nothing), and beyond the silence and the engines along the critical path (`fixed`)."""
    return [
        Goal("zero-cost engines: first sound after the silence condition", _mid(zero), ZERO_MS),
        Goal("overhead of /ws a turn, on top of the critical path", _mid(fixed), OVERHEAD_MS),
    ]


def of_first_turns(first: Sequence[float], tenth: Sequence[float]) -> Goal:
    """Medians over several starts."""
    name = "the first turn after the start, later than the tenth by"
    return Goal(name, _mid(first) - _mid(tenth), FIRST_MS)


def _beside(name: str, rows: Mapping[str, Figures], ours: str, theirs: float) -> Goal:
    mine = rows[ours].median if ours in rows else math.nan
    note = "" if math.isnan(mine + theirs) else f"{mine:.0f} / {theirs:.0f} ms"
    return Goal(name, mine / theirs, BETTER, "", note)


def _least(rows: Mapping[str, Figures], names: Sequence[str]) -> float:
    there = [rows[name].median for name in names if name in rows and rows[name].count]
    return min(there, default=math.nan)


def _mid(values: Sequence[float]) -> float:
    return median(values) if values else math.nan
