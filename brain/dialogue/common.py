"""What all sessions of a house have in common."""

from __future__ import annotations

from dataclasses import dataclass

from brain.dialogue.ahead import AheadCounters
from brain.dialogue.config import HouseRules
from brain.dialogue.duty import Duty
from brain.dialogue.filler import Fillers
from brain.dialogue.listener import Listener
from brain.engines.ports import (
    EndOfTurn,
    LanguageModel,
    Synthesizer,
    Transcriber,
    VoiceDetector,
)


@dataclass(frozen=True)
class Engines:
    """What a session hears, thinks and speaks with. `mouth` None: text only. `end_of_turn` None:
    words alone tell when a turn is over."""

    detector: VoiceDetector
    transcriber: Transcriber
    mind: LanguageModel
    mouth: Synthesizer | None
    end_of_turn: EndOfTurn | None = None


@dataclass(frozen=True)
class Common:
    """The engines, and what is shared so that they are used well: `listener` judges sound of many
    robots at once, `duty` bounds what is heard while they speak, `fillers` are made once."""

    engines: Engines
    listener: Listener
    duty: Duty
    fillers: Fillers
    ahead: AheadCounters


def common(engines: Engines, house: HouseRules) -> Common:
    """For the sessions of a house that opens."""
    return Common(
        engines, Listener(engines.detector), Duty(), Fillers(house.filler), AheadCounters()
    )
