"""Judges a robot's pauses, as what is heard of them comes in: the actor's side of `endpointing`.

What is heard ahead of the end (`Foreseen`) is judged by its words (`endings`), and by a model of
the end of turns if there is one, which listens to the sound and may move the words' verdict by one
step. Neither is waited for: the fixed silence holds while nothing is known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from brain.dialogue import events
from brain.dialogue.endings import Ending, ending_of
from brain.dialogue.endpointing import Endpointing, weighed
from brain.dialogue.pauses import Pauses
from brain.dialogue.tasks import Tasks
from brain.engines.ports import EndOfTurn, EngineError, Ticket

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heeded:
    """What the model makes of a pause; `probability` None if it failed."""

    turn: int
    revision: int
    probability: float | None


@dataclass
class _Pause:
    """What is known of the pause that lasts. `ending` None: nothing was heard yet. `waits`: the
    model hasn't answered."""

    turn: int
    revision: int
    ticket: Ticket
    waits: bool
    ending: Ending | None = None
    probability: float | None = None


class Endpointer:
    """Judges the pauses of one robot; a part of the actor. `rules` None: the fixed silence holds.

    `post` puts the model's verdict into the session's inbox.
    """

    def __init__(
        self,
        robot: str,
        rules: Endpointing | None,
        model: EndOfTurn | None,
        pauses: Pauses,
        post: Callable[[Heeded], None],
    ) -> None:
        self._robot = robot
        self._rules = rules
        self._model = model if rules is not None else None
        self._pauses = pauses
        self._post = post
        self._pause: _Pause | None = None
        self._tasks = Tasks()

    def begin(self, turn: int, revision: int, sound: Callable[[], NDArray[np.float32]]) -> None:
        """A pause has lasted long enough to be looked at; `sound` gives all that was said."""
        self.drop()
        pause = _Pause(turn, revision, Ticket(self._robot), self._model is not None)
        self._pause = pause
        if self._model is not None:
            self._tasks.spawn(self._ask(self._model, pause, sound()))

    def drop(self) -> None:
        """The pause is over, one way or the other."""
        if self._pause is not None:
            self._pause.ticket.cancel.cancel()
            self._pause = None

    def foreseen(self, event: events.Foreseen, language: str, base: int) -> events.Foreseen:
        """The event with the silence that is wanted after these words."""
        pause = self._of(event.turn, event.revision)
        if pause is None:
            return event
        pause.ending = ending_of(event.text, language)
        return replace(event, silence=self._wanted(pause, base))

    def overheard(
        self, turn: int, revision: int, text: str, language: str, base: int
    ) -> events.Judged | None:
        """What these words come to, which were heard before it was a turn; None: nothing new."""
        foreseen = self.foreseen(events.Foreseen(turn, revision, text), language, base)
        if foreseen.silence is None:
            return None
        return events.Judged(turn, revision, foreseen.silence)

    def heeded(self, verdict: Heeded, base: int) -> events.Judged | None:
        """What the model's verdict comes to; None if it is stale."""
        pause = self._of(verdict.turn, verdict.revision)
        if pause is None:
            return None
        pause.waits, pause.probability = False, verdict.probability
        return events.Judged(verdict.turn, verdict.revision, self._wanted(pause, base))

    async def close(self) -> None:
        """Stop everything and wait for it."""
        self.drop()
        await self._tasks.close()

    def _of(self, turn: int, revision: int) -> _Pause | None:
        pause = self._pause
        known = pause is not None and (pause.turn, pause.revision) == (turn, revision)
        return pause if known and self._rules is not None else None

    def _wanted(self, pause: _Pause, base: int) -> int:
        """Nothing is made shorter while the model may still object."""
        assert self._rules is not None
        words = pause.ending if pause.ending is not None else Ending.UNKNOWN
        ending = weighed(words, pause.probability)
        if pause.waits:
            ending = min(ending, Ending.UNKNOWN)
        return self._rules.silence(ending, base, self._pauses.habit)

    async def _ask(self, model: EndOfTurn, pause: _Pause, sound: NDArray[np.float32]) -> None:
        probability: float | None = None
        try:
            probability = await model.probability(sound, ticket=pause.ticket)
        except EngineError:
            pass  # (the lane counts it, and the ladder tells)
        except Exception:
            log.exception("judging the end of turn %d broke", pause.turn)
        if pause is self._pause:
            self._post(Heeded(pause.turn, pause.revision, probability))
