"""Which words are the robot's own? By their likeness to those that it was speaking."""

from __future__ import annotations

from difflib import SequenceMatcher

from brain.dialogue.backchannels import words_of

# Of the words that were heard, more than this share must be the robot's, in their order.
_SHARE = 0.6
# Two words are one and the same, misheard, from this likeness on.
_ALIKE = 0.7


def without_own_voice(heard: str, spoken: str) -> str:
    """What of `heard` isn't a piece of `spoken`, its ends cut off and some of it misheard.

    Empty if most of it stands there in that order. Else the words that are left, of which a few may
    be the robot's: who speaks over it is heard with it.
    """
    words, own = words_of(heard), words_of(spoken)
    if words and _in_order(words, own) / len(words) > _SHARE:
        return ""
    left = [
        word
        for i, word in enumerate(words)
        if not any(_same(word, one, i in (0, len(words) - 1)) for one in own)
    ]
    return " ".join(left)


def _in_order(words: tuple[str, ...], own: tuple[str, ...]) -> int:
    """How many of `words` stand in `own` in the same order."""
    best = [0] * (len(own) + 1)
    for i, word in enumerate(words):
        before = list(best)
        cut_off = i == len(words) - 1 or i == 0
        for j, spoken in enumerate(own, start=1):
            best[j] = max(before[j], best[j - 1], before[j - 1] + _same(word, spoken, cut_off))
    return best[-1]


def _same(word: str, spoken: str, cut_off: bool) -> bool:
    if word == spoken:
        return True
    if cut_off and len(word) > 1 and (spoken.startswith(word) or spoken.endswith(word)):
        return True
    return len(word) > 3 and SequenceMatcher(None, word, spoken).ratio() >= _ALIKE
