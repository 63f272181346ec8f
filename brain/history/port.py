"""What keeps conversations beyond the process, as the house that puts it in place knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from brain.dialogue.memory import Kept, MemoryStore

POLL_S = 2.0
"""A running brain learns within so long that a robot was forgotten from outside, or has gone over
to another brain."""


@dataclass(frozen=True)
class Restored:
    """What was found of a robot, who was last there `age_s` seconds ago."""

    robot: str
    kept: Kept
    age_s: float


class Keeper(MemoryStore, Protocol):
    """A `MemoryStore` that is started once and closed once, both from the event loop.

    On the event loop, `forgotten` is called for a robot that another process has deleted, `taken`
    for one whose newest session another brain has, and `found_late` for each that was found only
    after `start` had to give up.
    """

    forgotten: Callable[[str], None]
    taken: Callable[[str], None]
    found_late: Callable[[Restored], None]

    @property
    def kind(self) -> str:
        """What keeps them, in a word: sqlite, redis."""

    @property
    def reason(self) -> str:
        """Why conversations are in memory alone just now; empty: they are kept."""

    @property
    def note(self) -> str:
        """What a person should know of even though it works."""

    async def start(self) -> tuple[Restored, ...]:
        """What was kept, the robot that was there last at the end. Never raises, and takes a few
        seconds at most: then the brain starts without."""

    async def close(self) -> None:
        """Write what isn't written yet; given up after a few seconds."""


def tell_nobody(_: object) -> None:
    """Until somebody cares."""
