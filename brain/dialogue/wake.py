"""Whether somebody spoke to the robot: a wake phrase, found in what the ears wrote.

Ears write a name as they hear it ("Hey Richie" for "Hey Reachy"), so phrases are compared by a
weighted edit distance: vowels, which ears confuse, weigh little, consonants all. A phrase begins
and ends where words do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

MAX_PHRASES = 16
MAX_LETTERS = 60

_TOLERANCE = 0.14
"""Of the phrase's letters, so much may differ; of a shorter one than `_SHORT` none."""
_SHORT = 4

_VOWELS = frozenset("aeiouy")
_OTHER_VOWEL, _STRAY_VOWEL, _OTHER_LETTER = 0.2, 0.35, 1.0
# A word of letters and digits; of scripts that put no space between words (Chinese, Japanese),
# a character.
_WORD = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]|[^\W_\u2e80-\u9fff\uf900-\ufaff]+")
_AS_HEARD = (("tch", "ch"), ("ck", "k"), ("ph", "f"))
_TWICE = re.compile(r"(.)\1+")


@dataclass(frozen=True)
class _Word:
    letters: str
    start: int
    end: int


def find(text: str, phrases: Sequence[str]) -> tuple[int, int] | None:
    """Where in `text` the first of `phrases` that is there stands: from, to. None: nowhere."""
    words = list(_words(text))
    wanted = [letters for phrase in phrases if (letters := _letters(phrase))]
    for first in range(len(words)):
        for phrase in wanted:
            last = _last(words, first, phrase)
            if last is not None:
                return words[first].start, words[last].end
    return None


def without(text: str, phrases: Sequence[str]) -> str | None:
    """What was said to the robot: `text` without a phrase that it begins with, "" if there is
    nothing else; None if none of `phrases` is in it."""
    found = find(text, phrases)
    if found is None:
        return None
    start, end = found
    if _WORD.search(text[:start]):
        return text  # in the midst of a sentence it is a part of it
    word = _WORD.search(text, end)
    if word is None:
        return ""
    rest = text[word.start() :].strip()
    return rest[:1].upper() + rest[1:]


def _last(words: Sequence[_Word], first: int, phrase: str) -> int | None:
    """The word with which `phrase` ends if it begins with `first`; the closest of several."""
    allowed = _TOLERANCE * len(phrase) if len(phrase) >= _SHORT else 0.0
    heard, best, least = "", None, allowed
    for last in range(first, len(words)):
        heard = _TWICE.sub(r"\1", heard + words[last].letters)
        # (Each letter more costs at least as much as a stray vowel.)
        if (len(heard) - len(phrase)) * _STRAY_VOWEL > allowed:
            break
        distance = _distance(phrase, heard)
        if distance <= least and (best is None or distance < least):
            best, least = last, distance
    return best


def _words(text: str) -> Iterator[_Word]:
    for match in _WORD.finditer(text):
        yield _Word(_plain(match.group()), match.start(), match.end())


@lru_cache(maxsize=256)
def _letters(phrase: str) -> str:
    return _TWICE.sub(r"\1", "".join(word.letters for word in _words(phrase)))


def _plain(word: str) -> str:
    """Small letters without accents, spelt as they sound."""
    split = unicodedata.normalize("NFKD", word.casefold())
    plain = "".join(letter for letter in split if not unicodedata.combining(letter))
    for spelt, sounds in _AS_HEARD:
        plain = plain.replace(spelt, sounds)
    return _TWICE.sub(r"\1", plain)


def _distance(one: str, other: str) -> float:
    """What it costs to make `other` of `one`."""
    row = [0.0]
    for letter in other:
        row.append(row[-1] + _stray(letter))
    for mine in one:
        above, row = row, [row[0] + _stray(mine)]
        for i, theirs in enumerate(other):
            row.append(
                min(
                    above[i] + _swap(mine, theirs),
                    above[i + 1] + _stray(mine),
                    row[i] + _stray(theirs),
                )
            )
    return row[-1]


def _stray(letter: str) -> float:
    return _STRAY_VOWEL if letter in _VOWELS else _OTHER_LETTER


def _swap(mine: str, theirs: str) -> float:
    if mine == theirs:
        return 0.0
    return _OTHER_VOWEL if mine in _VOWELS and theirs in _VOWELS else _OTHER_LETTER
