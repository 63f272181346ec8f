"""What hung in this process, and whether that can still be made good within it.

A call that hangs is cancelled by its lane, and an engine that doesn't heed that is replaced by its
ladder. What remains is its thread, which Python can't end, and whatever of a GPU it holds on to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


class GivenUpOnce:
    """Called with a reason, perhaps before anybody knows what to do about it."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._then: Callable[[str], None] | None = None

    def __call__(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
            if self._then is not None:
                self._then(reason)

    def then(self, do: Callable[[str], None]) -> None:
        """Do this about it, now or when it comes."""
        self._then = do
        if self._reason is not None:
            do(self._reason)
