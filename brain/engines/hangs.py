"""What hung in this process, and whether that can still be made good within it.

A call that hangs is cancelled by its lane, and an engine that doesn't heed that is replaced by its
ladder. What remains is its thread, which Python can't end, and whatever of a GPU it holds on to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

REPLACED_WITHIN_S = 30.0
"""In which another engine must serve in the place of one that hung."""
REBUILT_WITHIN_S = 600.0
"""In which the building anew of one that hung must come to an end, good or bad."""
MOST_HANGS = 3
"""Each leaves a thread behind, and a model with it."""


@dataclass
class Hangs:
    """Of one kind of engine. Times are of the event loop's clock, s."""

    count: int = 0
    _unserved_since: float | None = None
    _unbuilt_since: float | None = None

    def hung(self, now: float) -> None:
        """An engine of this process didn't heed its cancel, and was given up on."""
        self.count += 1
        self._unserved_since = self._unbuilt_since = now

    def built(self, *, failed: bool) -> None:
        """The building of an engine came to an end."""
        self._unbuilt_since = None
        if not failed:
            self._unserved_since = None

    def hopeless(self, now: float, *, serving: bool) -> str:
        """Why only a new process can help; empty if none is needed. `serving`: some engine does."""
        if self.count >= MOST_HANGS:
            return f"an engine hung {self.count} times, and each time left its thread behind"
        unserved, unbuilt = self._unserved_since, self._unbuilt_since
        if not serving and unserved is not None and now - unserved > REPLACED_WITHIN_S:
            return f"an engine hung, and none took its place within {REPLACED_WITHIN_S:g} s"
        if unbuilt is not None and now - unbuilt > REBUILT_WITHIN_S:
            return f"an engine hung, and so does its building anew, for {REBUILT_WITHIN_S:g} s"
        return ""


class GivenUp(Protocol):
    """What an engine's owner is told, once, from the event loop: with the reason, in a sentence."""

    def __call__(self, reason: str) -> None:
        """The engine hangs, and what it has of this process is lost."""

    def died(self, reason: str) -> None:
        """It was a process of its own, and that is no more. Nothing of it is left here."""


class GivenUpOnce:
    """A `GivenUp` that may be told before anybody knows what to do about it."""

    def __init__(self) -> None:
        self._told: tuple[str, bool] | None = None
        self._then: Callable[[str, bool], None] | None = None

    def __call__(self, reason: str) -> None:
        """As `GivenUp.__call__`."""
        self._tell(reason, hung=True)

    def died(self, reason: str) -> None:
        """As `GivenUp.died`."""
        self._tell(reason, hung=False)

    def then(self, do: Callable[[str, bool], None]) -> None:
        """Do this about it, now or when it comes: it gets the reason, and whether it hangs."""
        self._then = do
        if self._told is not None:
            do(*self._told)

    def _tell(self, reason: str, *, hung: bool) -> None:
        if self._told is None:
            self._told = reason, hung
            if self._then is not None:
                self._then(reason, hung)
