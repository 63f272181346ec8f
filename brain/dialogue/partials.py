"""A robot's partial transcripts: what is heard of a turn while it is open.

A part of the ears, and called by them alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.dialogue import effects as do
from brain.dialogue import events
from brain.dialogue.duty import Duty
from brain.dialogue.state import PARTIAL_EVERY
from brain.engines.ports import EngineError, Priority, Ticket, Transcript

log = logging.getLogger(__name__)

Sound = NDArray[np.float32]
"""float32 [n] in -1..1 at 16 kHz."""

Transcribe = Callable[[Sound, "str | None", Ticket], Awaitable[Transcript]]
Hearing = Coroutine[Any, Any, "Transcript | None"]


@dataclass
class Begun:
    """What is being heard, or was, of a turn that may not be over. Times by the loop's clock, in s.
    The task gives None if it came to nothing."""

    turn: int
    revision: int
    ticket: Ticket
    started_at: float
    task: asyncio.Task[Transcript | None]
    over_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.task.add_done_callback(self._over)

    @property
    def stt_ms(self) -> float:
        """How long it took, or has taken so far."""
        return round(((self.over_at or self._now()) - self.started_at) * 1000, 1)

    @property
    def failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.result() is None)

    def _over(self, _: object) -> None:
        self.over_at = self._now()

    def _now(self) -> float:
        return self.task.get_loop().time()


class Partials:
    """Of one robot. `spawn` keeps a task; `post` gets what was heard."""

    def __init__(
        self,
        robot: str,
        duty: Duty,
        *,
        transcribe: Transcribe,
        spawn: Callable[[Hearing], asyncio.Task[Transcript | None]],
        post: Callable[[events.PartlyHeard, float], None],
    ) -> None:
        self._robot = robot
        self._duty = duty
        self._transcribe = transcribe
        self._spawn = spawn
        self._post = post
        self._begun: Begun | None = None
        self._whole = False  # it is of all that was said until the user fell silent
        self._turn = 0
        self._due = 0

    def ask(
        self, effect: do.HearPartial, sound: Callable[[], Sound], *, language: str | None
    ) -> None:
        """Hear this, if it is time for it. One at a time, and one a pause."""
        if effect.turn != self._turn:
            self._turn, self._due = effect.turn, 0
        if self._begun is not None and not self._begun.task.done():
            return
        if self._of(effect.turn, effect.revision) if effect.pausing else effect.end < self._due:
            return
        if not self._duty.admits(self._robot, pausing=effect.pausing):
            return
        self._due = effect.end + PARTIAL_EVERY
        ticket = Ticket(self._robot, Priority.SPECULATION)
        self._duty.began(ticket)
        task = self._spawn(self._hear(effect, sound(), language, ticket))
        self._begun = Begun(effect.turn, effect.revision, ticket, _now(), task)
        self._whole = effect.pausing
        task.add_done_callback(lambda _: self._duty.ended(ticket, heard=False))

    def take_over(self, turn: int, revision: int) -> Begun | None:
        """What is heard of all of the turn up to its pause, or was; it is no partial any more."""
        if not self._of(turn, revision):
            return None
        begun, self._begun = self._begun, None
        if begun is None or begun.failed:
            return None
        self._duty.taken_over(begun.ticket)
        return begun

    @property
    def under_way(self) -> asyncio.Task[Transcript | None] | None:
        """What hears a part of the turn just now."""
        return self._begun.task if self._begun is not None else None

    def stop(self) -> None:
        """The turn is over."""
        if self._begun is not None:
            self._begun.ticket.cancel.cancel()
            self._begun = None

    def _of(self, turn: int, revision: int) -> bool:
        """Whether the last one is of all of this turn up to its pause."""
        begun = self._begun
        if begun is None or not self._whole:
            return False
        return (begun.turn, begun.revision) == (turn, revision)

    async def _hear(
        self, effect: do.HearPartial, sound: Sound, language: str | None, ticket: Ticket
    ) -> Transcript | None:
        started = _now()
        try:
            transcript = await self._transcribe(sound, language, ticket)
        except EngineError:
            return None
        except Exception:
            log.exception("hearing turn %d while it is open broke", effect.turn)
            return None
        self._duty.ended(ticket, heard=True)  # before anybody asks for more
        heard = events.PartlyHeard(effect.turn, transcript.text.strip(), effect.end)
        self._post(heard, round((_now() - started) * 1000, 1))
        return transcript


def _now() -> float:
    return asyncio.get_running_loop().time()
