"""The session's ears: what was said is heard at the end of a turn, or ahead of it.

A part of the actor, and called by it alone: what was heard goes to the inbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from brain.dialogue import effects as do
from brain.dialogue import events
from brain.dialogue.ahead import AheadCounters
from brain.dialogue.duty import Duty
from brain.dialogue.partials import Begun, Partials, Sound
from brain.dialogue.tasks import Tasks
from brain.engines.ports import Cancelled, EngineError, Priority, Ticket, Transcriber, Transcript

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hearing:
    """When a spoken turn was spoken and heard. `voiced_at`: arrival of its last speech, in s.
    `ahead_ms`: so long before its end it began to be heard; None: then."""

    turn: int
    voiced_at: float
    endpoint_ms: float
    ahead_ms: float | None = None
    stt_ms: float | None = None

    @property
    def over_at(self) -> float:
        """When the turn was over, in s."""
        return self.voiced_at + self.endpoint_ms / 1000


@dataclass(frozen=True)
class Understood:
    """A transcription is done, one way or the other. `language`: what was heard, ISO 639-1."""

    event: (
        events.Transcribed
        | events.TranscriptionFailed
        | events.Foreseen
        | events.PartlyHeard
        | events.Overheard
    )
    stt_ms: float
    language: str = "en"


class Ears:
    """Hears one robot. `post` puts an item into the session's inbox."""

    def __init__(
        self,
        robot: str,
        transcriber: Transcriber,
        *,
        post: Callable[[Understood], None],
        counters: AheadCounters,
        duty: Duty,
    ) -> None:
        self.newest: Hearing | None = None
        self._robot = robot
        self._transcriber = transcriber
        self._post = post
        self._counters = counters
        self._duty = duty
        self._ahead: Begun | None = None
        self._overheard: Begun | None = None
        self._tickets: set[Ticket] = set()
        self._tasks = Tasks()
        self._partials = Partials(
            robot,
            duty,
            transcribe=self._transcribed,
            spawn=self._tasks.spawn,
            post=lambda heard, ms: self._post(Understood(heard, ms)),
        )

    def hear_partial(
        self, effect: do.HearPartial, sound: Callable[[], Sound], *, language: str | None
    ) -> None:
        """Hear what was said so far, if there is time for it. What was heard is posted."""
        self._partials.ask(effect, sound, language=language)

    def hear_ahead(
        self, effect: do.HearAhead, sound: Callable[[], Sound], *, language: str | None
    ) -> None:
        """Hear `sound`, all that was said so far, on the guess that this was all. A partial
        transcript that is of all of it, or will be, is that. One of less goes, or is waited for if
        it is nearly there: it is worth a guess."""
        self.drop_ahead()
        self._counters.started += 1
        begun = self._partials.take_over(effect.turn, effect.revision)
        if begun is None:
            self._duty.make_way(self._robot)
            ticket = Ticket(self._robot, Priority.SPECULATION)
            after = self._partials.under_way
            hearing = self._transcribed_ahead(effect.turn, sound(), language, ticket, after)
            task = self._tasks.spawn(hearing)
            begun = Begun(effect.turn, effect.revision, ticket, _now(), task)
        self._ahead = begun
        self._tasks.spawn(self._foresee(begun))

    def forget(self) -> None:
        """The turn is over, and nobody wants to know what was heard of it."""
        self._partials.stop()

    def drop_ahead(self) -> None:
        """The guess was wrong."""
        if self._ahead is not None:
            self._ahead.ticket.cancel.cancel()
            self._counters.wasted_ms += self._ahead.stt_ms
            self._ahead = None

    def overhear(
        self,
        effect: do.Overhear,
        sound: Sound,
        *,
        language: str | None,
        meaning: Callable[[str], events.Meaning],
    ) -> None:
        """Hear `sound`, spoken over a reply; `meaning` tells what its words are. In the midst of it
        it is a guess, and goes last at the engine; in its pause the reply waits for it."""
        self.drop_overheard()
        self._duty.make_way(self._robot)
        ticket = Ticket(self._robot, Priority.REPLY if effect.whole else Priority.SPECULATION)
        task = self._tasks.spawn(self._overhear(effect, sound, language, ticket, meaning))
        self._overheard = Begun(0, 0, ticket, _now(), task)

    def drop_overheard(self) -> None:
        """What is being overheard has become irrelevant."""
        if self._overheard is not None:
            self._overheard.ticket.cancel.cancel()
            self._overheard = None

    def adopt_overheard(self, turn: int, revision: int) -> None:
        """What was overheard last was heard ahead of the end of this turn."""
        self.drop_ahead()
        self._counters.started += 1
        self._ahead, self._overheard = self._overheard, None
        if self._ahead is not None:
            self._ahead.turn, self._ahead.revision = turn, revision

    def hear(
        self,
        effect: do.StartTranscription,
        sound: Callable[[], Sound],
        *,
        language: str | None,
        silence_s: float,
    ) -> None:
        """The turn is over, after `silence_s` of silence. What was begun ahead of that goes on."""
        self._partials.stop()
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
        self._tasks.spawn(self._hear(effect.turn, sound(), language, ticket, ahead))

    def understood(self, item: Understood) -> None:
        """An item of ours has come out of the inbox."""
        if isinstance(item.event, events.PartlyHeard | events.Overheard):
            return
        if self.newest is not None and self.newest.turn == item.event.turn:
            self.newest = replace(self.newest, stt_ms=item.stt_ms)

    async def close(self) -> None:
        """Stop everything and wait for it."""
        for ticket in self._tickets:
            ticket.cancel.cancel()
        await self._tasks.close()

    async def _foresee(self, begun: Begun) -> None:
        transcript = await begun.task
        if transcript is not None:
            event = events.Foreseen(begun.turn, begun.revision, transcript.text.strip())
            self._post(Understood(event, begun.stt_ms, transcript.language))

    async def _transcribed_ahead(
        self,
        turn: int,
        sound: Sound,
        language: str | None,
        ticket: Ticket,
        after: asyncio.Task[Transcript | None] | None,
    ) -> Transcript | None:
        """None if it came to nothing: then it is heard at the end, as without."""
        if after is not None:
            await asyncio.wait({after})
        try:
            return await self._transcribed(sound, language, ticket)
        except EngineError:
            return None
        except Exception:
            log.exception("hearing turn %d ahead broke", turn)
            return None

    async def _overhear(
        self,
        effect: do.Overhear,
        sound: Sound,
        language: str | None,
        ticket: Ticket,
        meaning: Callable[[str], events.Meaning],
    ) -> Transcript | None:
        started, transcript = _now(), None
        try:
            transcript = await self._transcribed(sound, language, ticket)
        except Cancelled:
            return None
        except EngineError as error:
            log.debug("what was said over a reply couldn't be heard: %s", error)
        except Exception:
            log.exception("hearing what was said over a reply broke")
        text = transcript.text.strip() if transcript is not None else ""
        told = events.Overheard(
            effect.number, text, meaning(text) if transcript is not None else "failed"
        )
        spoken = transcript.language if transcript is not None else ""
        self._post(Understood(told, _ms(started), spoken))
        return transcript

    async def _hear(
        self, turn: int, sound: Sound, language: str | None, ticket: Ticket, ahead: Begun | None
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


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ms(since: float) -> float:
    return round((_now() - since) * 1000, 1)
