"""What the mind is told: of the next reply that is wanted, or of the one that may be."""

from __future__ import annotations

from dataclasses import replace

from brain.dialogue import effects as do
from brain.dialogue.config import HouseRules, SessionConfig, asks_for_moods, system_prompt
from brain.dialogue.history import History
from brain.dialogue.pictures import unseen
from brain.dialogue.progress import Brief
from brain.dialogue.speaking import apology
from brain.engines.ports import LanguageModel, Message

_NO_RESULT = '{"error": "the tool gave no result"}'
_NEVER_ANSWERS = '{"status": "sent to the robot"}'


class Briefing:
    """Of one session; a part of the actor, and called by it alone."""

    def __init__(self, house: HouseRules, mind: LanguageModel) -> None:
        self._house = house
        self._mind = mind
        self._rounds = (0, 0)  # turn, follow-ups in it

    @property
    def blind(self) -> bool:
        """Whether it is certain that the model can't see."""
        return self._mind.info.sees is False

    def is_quiet(self, config: SessionConfig) -> bool:
        """Whether answers are short now, and nothing is said unasked."""
        return self._house.quiet.holds(config.quiet)

    def began(self, turn: int) -> None:
        """The mind is asked once more in this turn."""
        self._rounds = (turn, self._round(turn))

    def brief(self, effect: do.StartReply, config: SessionConfig, history: History) -> Brief:
        """What the reply is made of."""
        most = config.max_output_tokens
        if self.is_quiet(config):
            most = self._house.quiet.at_most(most)
        brief = Brief(
            effect.reply_id,
            effect.turn,
            voice=config.voice,
            output_sample_rate=config.output_sample_rate,
            temperature=config.temperature,
            max_tokens=most,
        )
        if effect.kind == "say":
            return replace(brief, text=effect.text)
        if effect.kind == "apology":
            return replace(brief, text=apology(effect.text))
        messages = self._told(config, history)
        if effect.kind == "idle":
            messages.append(Message("user", effect.text))
        tools = config.tools if self._round(effect.turn) < self._house.max_tool_rounds else ()
        return replace(
            brief,
            messages=messages,
            tools=tools,
            mute=effect.kind == "idle",
            moods=asks_for_moods(config, self._house),
        )

    def expected(
        self, config: SessionConfig, history: History, *, answers_tools: bool
    ) -> list[Message]:
        """All of the next question but its own words. `answers_tools`: results may still come."""
        history = history.copy()
        if not answers_tools:
            settle(history, answers_tools=False)
        history.user_said("")
        return self._told(config, history)[:-1]

    def _told(self, config: SessionConfig, history: History) -> list[Message]:
        """The conversation as the model is told of it."""
        moods = asks_for_moods(config, self._house)
        note = self._house.quiet.note if self.is_quiet(config) else ""
        system = Message("system", system_prompt(config, moods=moods, note=note))
        messages = [system, *history.messages(moods=moods)]
        return unseen(messages) if self.blind else messages

    def _round(self, turn: int) -> int:
        """How many replies this turn has had."""
        last, rounds = self._rounds
        return rounds + 1 if last == turn else 0


def settle(history: History, *, answers_tools: bool) -> None:
    """Calls that are still open get no result. `answers_tools`: of this robot they were to."""
    history.settle(_NO_RESULT if answers_tools else _NEVER_ANSWERS)
