"""A circuit breaker: whether a server is to be asked, by what became of asking it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

STRIKES = 3
"""Failures in a row that open it."""
BACK_OFF_S, MOST_BACK_OFF_S = 1.0, 30.0
"""The first wait, and what doubling it comes to; each is jittered by half, up or down."""
STEADY_S = 30.0
"""A server that was well for so long begins with the first wait again."""
STILL_GONE_S = 4.0
"""Between two looks at a server that isn't there."""

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Of one server. `closed`: it is asked. `open`: it isn't, for a while. `half_open`: it is being
    tried out, by whoever looks after it; no robot's call is the trial.

    It begins open and due, since nobody has tried the server yet. `now` is in s, by any monotonic
    clock; `chance` gives numbers in 0..1, for the jitter. `reason` says why it isn't closed.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._strikes = 0
        self._openings = 0
        self._closed_since = 0.0
        self.state: State = "open"
        self.until = float("-inf")
        self.reason = "It hasn't been tried yet."

    @property
    def closed(self) -> bool:
        return self.state == "closed"

    def answered(self) -> None:
        """A call was answered."""
        self._strikes = 0

    def failed(self, now: float, reason: str) -> None:
        """A call failed through the server's fault."""
        self._strikes += 1
        if self._strikes >= STRIKES:
            self.gone(now, reason)

    def gone(self, now: float, reason: str) -> None:
        """It isn't there, or not fit to be asked: one call or look is enough to know."""
        if self.closed:
            self._open(now, reason)

    def due(self, now: float) -> bool:
        """Whether it is time to try it out."""
        return self.state == "open" and now >= self.until

    def still_gone(self, now: float, reason: str) -> None:
        """It was due, and isn't there: that is no reason to look more seldom."""
        self.reason = reason
        self.until = now + STILL_GONE_S * (0.5 + self._chance() / 2)

    def try_out(self) -> None:
        """The trial begins."""
        self.state = "half_open"

    def passed(self, now: float) -> None:
        """The trial went well."""
        self.state, self.reason = "closed", ""
        self._strikes = 0
        self._closed_since = now

    def flunked(self, now: float, reason: str) -> None:
        """The trial didn't."""
        self._open(now, reason)

    def _open(self, now: float, reason: str) -> None:
        if self.closed and now - self._closed_since >= STEADY_S:
            self._openings = 0
        wait = min(BACK_OFF_S * 2**self._openings, MOST_BACK_OFF_S)
        self.state, self.reason = "open", reason
        self.until = now + wait * (0.5 + self._chance())
        self._openings = min(self._openings + 1, 16)
