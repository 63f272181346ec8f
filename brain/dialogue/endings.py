"""Whether words sound finished: what a transcript says of its speaker's silence. Pure.

For English, with the punctuation that ears write. Ears that write none say little, and nothing
here guesses from what is missing: then it isn't known, and the fixed silence holds. Of other
languages only the marks are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum

from brain.dialogue.ending_words import (
    AUXILIARIES,
    BEGUN,
    CARDINALS,
    CLOSING,
    COMMANDS,
    CONJUNCTIONS,
    DETERMINERS,
    DIGITS,
    DO_AUXILIARIES,
    HESITATIONS,
    HOURS,
    LEADING,
    MULTIPLIERS,
    OPENERS,
    PENSIVE,
    PREPOSITIONS,
    PRONOUNS,
    QUESTION_WORDS,
    SUBJECTS,
    SUBORDINATORS,
    TENS,
    TIME_SUBORDINATORS,
    WANTING,
)


class Ending(IntEnum):
    """What words are like, to who waits for more."""

    TRAILS = 0
    UNKNOWN = 1
    COMPLETE = 2


_TRAILING_MARKS = ("...", "…", ",", ";", ":", "-", "–", "—", "、", "\uff0c")
_QUESTION_MARKS = ("?", "？", "؟")
_QUOTES = "\"'”’»)]"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[+/=]|\d+(?:\.\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)*")
# A number of so many digits may be whole: the shortest telephone numbers with their area.
_WHOLE_NUMBER = 10
# What is said to whom, before the comma: "Hey robot, …".
_ADDRESS_WORDS = 3


def ending_of(text: str, language: str = "en") -> Ending:
    """What the end of `text` is like. `language` ISO 639-1; of any but English only marks count."""
    text = text.strip().rstrip(_QUOTES)
    if not _WORD.search(text):
        return Ending.UNKNOWN
    if text.endswith(_TRAILING_MARKS):
        return Ending.TRAILS
    if language.lower().partition("-")[0] != "en":
        return Ending.COMPLETE if text.endswith(_QUESTION_MARKS) else Ending.UNKNOWN
    sentence = _SENTENCE_END.split(text)[-1]
    mark = sentence[-1] if sentence[-1] in ".!?" else ""
    dictated = _dictation(_words(sentence))
    if dictated is not None and mark != "?":
        return dictated
    clause = _addressed(sentence)
    words = _words(clause)
    if not words:
        return Ending.UNKNOWN  # a "please" alone may begin a request, or end one
    if _trails(words, mark, pauses="," in clause):
        return Ending.TRAILS
    if mark == "?":
        return _question(words)
    return Ending.COMPLETE if mark and _commands(words) else Ending.UNKNOWN


def _words(text: str) -> list[str]:
    """In lower case. Whoever says please asks for the same."""
    words = [word.replace("’", "'") for word in _WORD.findall(text.lower())]
    return [word for word in words if word != "please"]


def _question(words: Sequence[str]) -> Ending:
    """With a mark of its own. "What is the capital of?" may go on all the same."""
    bare = len(words) <= 2 and words[0] in AUXILIARIES
    return Ending.UNKNOWN if bare or words[-1] in PREPOSITIONS else Ending.COMPLETE


def _trails(words: Sequence[str], mark: str, *, pauses: bool) -> bool:
    """Whether more has to follow. `pauses`: there is a comma in it."""
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    asks = words[0] in QUESTION_WORDS
    if last in DETERMINERS or last in CONJUNCTIONS or last in HESITATIONS:
        return True
    if tuple(words[-3:]) in PENSIVE or (mark != "?" and tuple(words[-2:]) in PENSIVE):
        return True
    if last in SUBJECTS and before not in AUXILIARIES:
        return True
    if last in PREPOSITIONS and not (asks and mark == "?"):
        return True
    if last in AUXILIARIES and not _is_verb(words, mark):
        return len(words) > 1 or not mark
    if last in WANTING and not (asks and mark == "?"):
        return True
    if last in QUESTION_WORDS and not mark:
        return True
    return _only_begun(words, mark) or _subordinate(words, mark, pauses=pauses)


def _is_verb(words: Sequence[str], mark: str) -> bool:
    """Whether the auxiliary at the end is all that was to come: "where you are", "what to do"."""
    before = words[-2] if len(words) > 1 else ""
    if before in PRONOUNS:
        return bool(mark) or any(word in QUESTION_WORDS for word in words[:-2])
    return before == "to" or before in AUXILIARIES


def _only_begun(words: Sequence[str], mark: str) -> bool:
    """A question without its verb, or a command without its object."""
    if words[0] in AUXILIARIES and len(words) <= 3 and words[1:2] and words[1] in PRONOUNS:
        begun = len(words) == 2 or words[2] in OPENERS
        return begun and mark != "?"
    if len(words) == 3 and words[0] in QUESTION_WORDS and words[1] in DO_AUXILIARIES:
        return words[2] in PRONOUNS
    return " ".join(words) in BEGUN and mark != "!"


def _subordinate(words: Sequence[str], mark: str, *, pauses: bool) -> bool:
    """ "If it rains tomorrow": what then?"""
    if pauses or mark == "?":
        return False
    if words[0] in SUBORDINATORS:
        return True
    return words[0] in TIME_SUBORDINATORS and words[1:2] != [] and words[1] in PRONOUNS


def _addressed(sentence: str) -> str:
    """The sentence without whom it is said to: "Hey robot, …", "…, robot."."""
    head, comma, rest = sentence.partition(",")
    if not comma or len(_WORD.findall(head)) > _ADDRESS_WORDS or not _words(rest):
        return sentence
    return head if _commands(_words(head)) else rest


def _commands(words: Sequence[str]) -> bool:
    """Whether these are all of a command, or a word with which one leaves it."""
    if " ".join(words) in CLOSING:
        return True
    while words and words[0] in LEADING:
        words = words[1:]
    if words[1:2] == ["you"] and words[0] in ("can", "could", "would", "will"):
        words = words[2:]
    return bool(words) and words[0] in COMMANDS


def _dictation(words: Sequence[str]) -> Ending | None:
    """Of a number or a word that is told piece by piece; None if none is."""
    letters = _run(words, lambda word: len(word) == 1 and word.isalpha())
    if letters >= 2:
        return Ending.TRAILS
    run = _run(words, _numeric)
    if not run:
        return None
    if run == 2 and words[-2] in HOURS and words[-1] in CARDINALS - DIGITS:
        return None  # "at six thirty"
    groups, digits = _numbers(words[len(words) - run :])
    code = words[-1][0] == "0" and len(words[-1]) > 1
    if groups < 2 and digits < 5 and not code:
        return None
    return Ending.TRAILS if digits < _WHOLE_NUMBER else Ending.UNKNOWN


def _run(words: Sequence[str], belongs: Callable[[str], bool]) -> int:
    """How many words at the end belong together."""
    count = 0
    for word in reversed(words):
        if not belongs(word):
            break
        count += 1
    return count


def _numeric(word: str) -> bool:
    return word[0].isdigit() or word in DIGITS or word in CARDINALS or word in MULTIPLIERS


def _numbers(words: Sequence[str]) -> tuple[int, int]:
    """How many numbers these words are, and of how many digits together."""
    groups, digits, before = 0, 0, ""
    for word in words:
        if word in MULTIPLIERS:  # "double five"
            digits += MULTIPLIERS[word] - 1
        elif word[0].isdigit():
            groups, digits = groups + 1, digits + len(word.replace(".", ""))
        elif word in DIGITS:
            if before not in TENS:  # "twenty five" is one number of two digits
                groups, digits = groups + 1, digits + 1
        elif word in ("hundred", "thousand", "million") and groups:
            pass
        else:
            groups, digits = groups + 1, digits + 2
        before = word
    return groups, digits
