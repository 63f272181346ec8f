"""Quiet mode: short answers, and nothing unasked. By hours of the day, or as a robot asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time

NOTE = "It is quiet time: answer in one short sentence."


def _local_time() -> time:
    # The hours are those of the house that this machine stands in.
    return datetime.now().astimezone().time()


@dataclass(frozen=True)
class Hours:
    """From `start` to `end`, over midnight if that comes first; the same twice is all day."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Hours:
        """`22:00-07:00`. Raises ValueError."""
        start, _, end = text.partition("-")
        return cls(_time(start), _time(end))

    def __contains__(self, now: time) -> bool:
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


def _time(text: str) -> time:
    hour, _, minute = text.strip().partition(":")
    return time(int(hour), int(minute))


@dataclass(frozen=True)
class QuietMode:
    """`hours` None: only where a robot asks for it. `max_tokens` of a reply. `note`: what the
    language model is told, after all else that it is told of itself. `clock`: the time of day."""

    hours: Hours | None = None
    max_tokens: int = 96
    note: str = NOTE
    clock: Callable[[], time] = _local_time

    def at_most(self, tokens: int | None) -> int:
        """Of a reply that could have so many (None: as many as the model likes)."""
        return self.max_tokens if tokens is None else min(tokens, self.max_tokens)

    def holds(self, asked: bool | None) -> bool:
        """Whether it is quiet now. `asked` by the robot; None: by the hours."""
        if asked is not None:
            return asked
        return self.hours is not None and self.clock() in self.hours
