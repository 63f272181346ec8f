"""How much silence ends a turn, by what was said before it (`ENDPOINTING=adaptive`). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from brain.dialogue.endings import Ending
from brain.dialogue.state import samples

# What a model has to say for its verdict to count.
_SURELY_OVER, _SURELY_NOT = 0.7, 0.3
# Waited for beyond the pauses that a user is known to make.
_MARGIN = samples(100)


@dataclass(frozen=True)
class Endpointing:
    """How the silence that ends a turn adapts. In samples at 16 kHz.

    shortest: after a question or command that is complete. longest: after words that trail off,
    and the bound of what is learned. Between the two lies the session's own, for all else.
    """

    shortest: int = samples(300)
    longest: int = samples(1_200)

    def silence(self, ending: Ending, base: int, habit: int) -> int:
        """What ends the turn. `base`: the session's fixed silence. `habit`: see `Pauses`."""
        if ending is Ending.TRAILS:
            return max(base, self.longest)
        wanted = min(base, self.shortest) if ending is Ending.COMPLETE else base
        return max(wanted, min(habit + _MARGIN, self.longest) if habit else 0)


def weighed(ending: Ending, probability: float | None) -> Ending:
    """The words' verdict moved one step by the model's. `probability` 0..1 that the turn is over,
    None if there is none. Words that trail off do, however they sound."""
    if probability is None or ending is Ending.TRAILS or _SURELY_NOT < probability < _SURELY_OVER:
        return ending
    return Ending(min(ending + (1 if probability >= _SURELY_OVER else -1), Ending.COMPLETE))
