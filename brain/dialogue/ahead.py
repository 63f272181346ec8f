"""What runs ahead of the end of a turn, and is kept until that is certain: a reply in the making.

A part of the actor. What it makes waits in an outbox, tool calls among it; nothing of it is told,
carried out or remembered before it is released.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from brain.dialogue.outlet import Outlet
from brain.dialogue.progress import Brief, Failed, Post, Progress
from brain.dialogue.words import same_words
from brain.engines.ports import Ticket


@dataclass
class AheadCounters:
    """Since the start, of all robots. `started`: pauses in which an answer was begun, of which
    `used` were answers. `wasted_ms`: what engines worked for nothing."""

    started: int = 0
    used: int = 0
    wasted_ms: float = 0.0


class Outbox:
    """Keeps what a reply tells until `release`; from then on it goes its way at once."""

    def __init__(self, post: Post) -> None:
        self.released = asyncio.Event()
        self._post = post
        self._kept: list[Progress] = []

    @property
    def failed(self) -> bool:
        """Whether it holds nothing that is any use."""
        return any(isinstance(item, Failed) for item in self._kept)

    def post(self, item: Progress) -> None:
        if self.released.is_set():
            self._post(item)
        else:
            self._kept.append(item)

    def release(self) -> None:
        self.released.set()
        for item in self._kept:
            self._post(item)
        self._kept.clear()


@dataclass
class Prepared:
    """A reply that has been begun, and whose brief may come true. Times by the loop's clock."""

    brief: Brief
    ticket: Ticket
    outbox: Outbox
    outlet: Outlet
    started_at: float
    task: asyncio.Task[None]
    over_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.task.add_done_callback(self._over)

    def answers(self, brief: Brief) -> bool:
        """Whether this is the very reply that is wanted, and on its way. It may have been asked for
        in the same words, written otherwise."""
        return _asks_the_same(self.brief, brief) and not self.outbox.failed

    def stop(self) -> float:
        """It isn't wanted. How long it was in the works, s."""
        self.ticket.cancel.cancel()
        self.task.cancel()
        return (self.over_at or self._now()) - self.started_at

    def _over(self, _: object) -> None:
        self.over_at = self._now()

    def _now(self) -> float:
        return self.task.get_loop().time()


def _asks_the_same(one: Brief, other: Brief) -> bool:
    if not one.messages or not other.messages:
        return one == other
    (*before, last), (*others, asked) = one.messages, other.messages
    if replace(one, messages=other.messages) != other or before != others:
        return False
    return replace(last, content=asked.content) == asked and same_words(last.content, asked.content)
