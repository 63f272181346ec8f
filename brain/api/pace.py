"""How many requests an address may make, and how much time may go into something: buckets of
tokens, filled at a steady rate."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

_BURST_S = 2.0
_MOST_ADDRESSES = 4096


class Pace:
    """`per_s` requests from one address, over a while; twice as many at once. 0: any number.

    A fraction of one, too: `per_s` 0.2 is one in five seconds.
    """

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s * _BURST_S)
        self._clock = clock
        # What is left to each, and when that was so; the one that came last is at the end.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Count a request. 0: it may be served; else it may not, and the next one in so long."""
        if not self._per_s:
            return 0.0
        now = self._clock()
        left, then = self._left.pop(address, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._per_s)
        served = left >= 1
        self._left[address] = (left - served, now)
        while len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        return 0.0 if served else (1 - left) / self._per_s

    @staticmethod
    def whole_seconds(wait_s: float) -> int:
        """As `Retry-After` has it."""
        return max(1, math.ceil(wait_s))


class Share:
    """How much time may go into something: `share` of it over a while, `at_once_s` at once.

    What is begun is ended; the more it took, the later is the next.
    """

    def __init__(self, share: float, at_once_s: float, clock: Callable[[], float]) -> None:
        self._share = share
        self._most_s = at_once_s
        self._clock = clock
        self._left_s = at_once_s
        self._then = clock()

    def left(self) -> bool:
        """Whether there is time for another."""
        now = self._clock()
        self._left_s = min(self._most_s, self._left_s + (now - self._then) * self._share)
        self._then = now
        return self._left_s >= 0

    def spend(self, seconds: float) -> None:
        """It took so long."""
        self._left_s -= seconds
