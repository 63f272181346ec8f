"""Which of several servers is asked next. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

AFFINITY_MARGIN = 1
"""Calls that a robot's own server may have more than the least loaded one. Its cache knows the
conversation, so that there only what is new is computed; a call that waits behind others costs
more than that."""
SHORTEST_S = 0.02
"""Latencies below differ by chance alone."""
LATENCY_WEIGHT = 0.3
"""Of the newest in the smoothed latency."""


@dataclass(frozen=True)
class Candidate:
    """A server that can be asked. `inflight`: calls at it from here. `latency_s`: smoothed time to
    the first item; None where nothing is known of late. `busy`: it said so a moment ago."""

    inflight: int = 0
    latency_s: float | None = None
    busy: bool = False


def choose(candidates: Sequence[Candidate], *, turn: int, last: int | None = None) -> int:
    """The index of the one to ask.

    `last`, the one that served this robot before, if it isn't much more loaded than the least
    (`AFFINITY_MARGIN`). Else the least loaded; of those, the quickest, where twice as quick is a
    difference and less is none, and where one of which nothing is known is tried first; of those,
    each in its turn (`turn` counts choices). Whoever is busy comes last. Raises ValueError if there
    is none.
    """
    if not candidates:
        raise ValueError("there is none to choose from")
    keys = [
        (one.busy, one.inflight, _step(one.latency_s), (index - turn) % len(candidates))
        for index, one in enumerate(candidates)
    ]
    best = min(range(len(keys)), key=keys.__getitem__)
    if last is not None:
        own, least = candidates[last], candidates[best]
        near = own.inflight <= least.inflight + AFFINITY_MARGIN
        if near and own.busy == least.busy:
            return last
    return best


def smoothed(before: float | None, latest: float) -> float:
    """The smoothed latency, s, with one more."""
    return latest if before is None else before + LATENCY_WEIGHT * (latest - before)


def _step(latency_s: float | None) -> int:
    """Latencies of one step count as the same."""
    return -1 if latency_s is None else round(math.log2(max(latency_s, SHORTEST_S) / SHORTEST_S))
