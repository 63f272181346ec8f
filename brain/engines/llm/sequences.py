"""Which sequence of a context serves a prompt, so that as little as possible is computed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

# A slot that holds this share more than the prompt has use for is kept for its own conversation.
_SPARED_SHARE = 0.1
_SPARED_TOKENS = 32


@dataclass
class Slot:
    """One sequence: the tokens that the context's memory holds of it, in order."""

    sequence: int
    tokens: list[int] = field(default_factory=list)
    busy: bool = False
    used_at: int = 0


@dataclass(frozen=True)
class Choice:
    """`slot` serves; its first `common` tokens are right, if they are first shared from `source`
    (None: they are in `slot` itself)."""

    slot: Slot
    source: Slot | None
    common: int


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    for index, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return index
    return min(len(first), len(second))


def choose(
    slots: Sequence[Slot], prompt: Sequence[int], *, may_share: bool = True
) -> Choice | None:
    """The free slot in which `prompt` should go on; None if all are busy.

    The slot with the longest common prefix goes on if hardly anything of it is lost. Otherwise
    another conversation lives there: the least recently used slot is taken, and the prefix that
    the two have in common (a robot's instructions, say) is shared with it, which costs nothing.
    `may_share` False: the model can't share a part of a sequence.
    """
    free = [slot for slot in slots if not slot.busy]
    if not free:
        return None
    lengths = {slot.sequence: common_prefix(slot.tokens, prompt) for slot in slots}
    best = max(free, key=lambda slot: (lengths[slot.sequence], slot.used_at))
    common = lengths[best.sequence]
    lost = len(best.tokens) - common
    if common and lost <= max(_SPARED_TOKENS, _SPARED_SHARE * len(best.tokens)):
        return Choice(best, None, common)
    target = min(free, key=lambda slot: (bool(slot.tokens), slot.used_at))
    if not may_share:
        return Choice(target, None, lengths[target.sequence])
    source = max(slots, key=lambda slot: lengths[slot.sequence])
    if lengths[source.sequence] > lengths[target.sequence]:
        return Choice(target, source, lengths[source.sequence])
    return Choice(target, None, lengths[target.sequence])
