"""The session's ears: what was said is heard at the end of a turn, or ahead of it.

A part of the actor, and called by it alone: what was heard goes to the inbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from brain.dialogue import effects as do
from brain.dialogue import events
from brain.dialogue.ahead import AheadCounters
from brain.engines.ports import Cancelled, EngineError, Priority, Ticket, Transcriber, Transcript

log = logging.getLogger(__name__)

T = TypeVar("T")

Sound = NDArray[np.float32]
"""float32 [n] in -1..1 at 16 kHz."""


@dataclass(frozen=True)
class Hearing:
    """When a spoken turn was spoken and heard. `voiced_at`: arrival of its last speech, in s.
    `ahead_ms`: so long before its end it began to be heard; None: then."""

    turn: int
    voiced_at: float
    endpoint_ms: float
    ahead_ms: float | None = None
    stt_ms: float | None = None


@dataclass(frozen=True)
class Understood:
    """A transcription is done, one way or the other."""

    event: events.Transcribed | events.TranscriptionFailed | events.Foreseen
    stt_ms: float


@dataclass
class _Ahead:
    """What is heard, or was, of a turn that may not be over. Times by the loop's clock, in s."""

    turn: int
    revision: int
    ticket: Ticket
    started_at: float
    task: asyncio.Task[Transcript | None]
    over_at: float | None = field(default=None, init=False)

    def over(self, _: object) -> None:
        self.over_at = _now()

    @property
    def stt_ms(self) -> float:
        return round(((self.over_at or _now()) - self.started_at) * 1000, 1)


class Ears:
    """Hears one robot. `post` puts an item into the session's inbox."""

    def __init__(
        self,
        robot: str,
        transcriber: Transcriber,
        *,
        post: Callable[[Understood], None],
        counters: AheadCounters,
    ) -> None:
        self.newest: Hearing | None = None
        self._robot = robot
        self._transcriber = transcriber
        self._post = post
        self._counters = counters
        self._ahead: _Ahead | None = None
        self._tickets: set[Ticket] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def hear_ahead(self, effect: do.HearAhead, sound: Sound, *, language: str | None) -> None:
        """Hear `sound`, all that was said so far, on the guess that this was all."""
        self.drop_ahead()
        self._counters.started += 1
        ticket = Ticket(self._robot, Priority.SPECULATION)
        task = self._spawn(self._foresee(effect, sound, language, ticket))
        self._ahead = _Ahead(effect.turn, effect.revision, ticket, _now(), task)
        task.add_done_callback(self._ahead.over)

    def drop_ahead(self) -> None:
        """The guess was wrong."""
        if self._ahead is not None:
            self._ahead.ticket.cancel.cancel()
            self._counters.wasted_ms += self._ahead.stt_ms
            self._ahead = None

    def hear(
        self,
        effect: do.StartTranscription,
        sound: Callable[[], Sound],
        *,
        language: str | None,
        silence_s: float,
    ) -> None:
        """The turn is over, after `silence_s` of silence. What was begun ahead of that goes on."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and (ahead.turn, ahead.revision) != (effect.turn, effect.revision):
            ahead = None
        self.newest = Hearing(
            effect.turn,
            _now() - silence_s,
            round(silence_s * 1000, 1),
            _ms(ahead.started_at) if ahead is not None else None,
            ahead.stt_ms if ahead is not None and effect.known else None,
        )
        if effect.known:
            return
        ticket = Ticket(self._robot)
        if ahead is not None:
            ahead.ticket.confirmation.give()
        self._spawn(self._hear(effect.turn, sound(), language, ticket, ahead))

    def understood(self, item: Understood) -> None:
        """An item of ours has come out of the inbox."""
        if self.newest is not None and self.newest.turn == item.event.turn:
            self.newest = replace(self.newest, stt_ms=item.stt_ms)

    async def close(self) -> None:
        """Stop everything and wait for it."""
        for ticket in self._tickets:
            ticket.cancel.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _foresee(
        self, effect: do.HearAhead, sound: Sound, language: str | None, ticket: Ticket
    ) -> Transcript | None:
        """None if it came to nothing: then it is heard at the end, as without."""
        started = _now()
        try:
            transcript = await self._transcribed(sound, language, ticket)
        except EngineError:
            return None
        except Exception:
            log.exception("hearing turn %d ahead broke", effect.turn)
            return None
        event = events.Foreseen(effect.turn, effect.revision, transcript.text.strip())
        self._post(Understood(event, _ms(started)))
        return transcript

    async def _hear(
        self, turn: int, sound: Sound, language: str | None, ticket: Ticket, ahead: _Ahead | None
    ) -> None:
        started = _now()
        event: events.Transcribed | events.TranscriptionFailed
        try:
            transcript = await ahead.task if ahead is not None else None
            if ahead is not None and transcript is not None:
                started = ahead.started_at
            else:
                self._began_at_the_end(turn)
                transcript = await self._transcribed(sound, language, ticket)
            event = events.Transcribed(turn, transcript.text.strip())
        except Cancelled:
            return
        except EngineError as error:
            event = events.TranscriptionFailed(turn, "stt_failed", str(error))
        except Exception:
            # A fault of ours must cost one turn, not leave the robot without an answer.
            log.exception("transcription of turn %d broke", turn)
            event = events.TranscriptionFailed(turn, "internal", "hearing failed; see the log")
        self._post(Understood(event, _ms(started)))

    def _began_at_the_end(self, turn: int) -> None:
        """What was begun ahead came to nothing."""
        if self.newest is not None and self.newest.turn == turn:
            self.newest = replace(self.newest, ahead_ms=None)

    async def _transcribed(self, sound: Sound, language: str | None, ticket: Ticket) -> Transcript:
        self._tickets.add(ticket)
        try:
            return await self._transcriber.transcribe(sound, language=language, ticket=ticket)
        finally:
            self._tickets.discard(ticket)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ms(since: float) -> float:
    return round((_now() - since) * 1000, 1)
