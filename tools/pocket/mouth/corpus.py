"""What the voice learns to read: own sentences, sentences by grammar, and word salad.

The salad is there for the sounds: real words in an order that no grammar gives, and made-up words
that the letter-to-sound rules of espeak-ng read, so that the voice meets every pair of sounds.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

HERE = Path(__file__).parent
REPERTOIRE = HERE.parent / "repertoire.toml"

_VOCABULARY: dict[str, str] = tomllib.loads((HERE / "vocabulary.toml").read_text(encoding="utf-8"))


def _phrases(name: str) -> list[str]:
    return [" ".join(phrase.split()) for phrase in _VOCABULARY[name].split("|")]


_PEOPLE, _ACTS, _BARE = _phrases("people"), _phrases("acts"), _phrases("bare")
_THINGS, _PLACES, _TIMES = _phrases("things"), _phrases("places"), _phrases("times")
_ADJECTIVES = _phrases("adjectives")
_WORDS = _VOCABULARY["words"].split()
_ONSETS, _VOWELS = _VOCABULARY["onsets"].split(), _VOCABULARY["vowels"].split()
_CODAS = _VOCABULARY["codas"].split()


def _sentence(rng: random.Random) -> str:
    """One plausible sentence by grammar."""
    pick = rng.choice
    who, act, bare, thing = pick(_PEOPLE), pick(_ACTS), pick(_BARE), pick(_THINGS)
    place, time, quality = pick(_PLACES), pick(_TIMES), pick(_ADJECTIVES)
    number = rng.choice([rng.randrange(1, 21), rng.randrange(20, 1000), rng.randrange(1000, 9999)])
    forms: list[Callable[[], str]] = [
        lambda: f"{who} {act} {thing} {place}.",
        lambda: f"{who} {act} {thing} {place} {time}.",
        lambda: f"{time}, {who} {act} {thing}.",
        lambda: f"did {who} {bare} {thing}?",
        lambda: f"please {bare} {thing}, and then {pick(_BARE)} {pick(_THINGS)}.",
        lambda: f"can you {bare} {thing} {place}?",
        lambda: f"{who} was {quality}, because {pick(_PEOPLE)} {act} {thing}.",
        lambda: f"how {quality} it is to {bare} {thing}!",
        lambda: f"why is {thing} so {quality}?",
        lambda: f"I would like to {bare} {thing}.",
        lambda: f"there are {number} {pick(_WORDS)}s {place}.",
        lambda: f"{who} said that {thing} is {quality}; {pick(_PEOPLE)} laughed.",
        lambda: f"if {who} {act} {thing}, we will {bare} it {time}.",
        lambda: f"let's {bare} {thing}!",
        lambda: f"okay, I {act} {thing}.",
        lambda: f"{number} plus {rng.randrange(1, 100)} is {number + rng.randrange(1, 100)}.",
        lambda: f"no, {who} isn't {quality}, and it can't {bare} {thing}.",
    ]
    text = rng.choice(forms)()
    return text[0].upper() + text[1:]


def _made_up(rng: random.Random) -> str:
    parts = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((1, 1, 1, 2)))]
    return "".join(parts) + rng.choice(_CODAS)


def _salad(rng: random.Random) -> str:
    """Random words, some made up, with mixed punctuation."""
    words: list[str] = []
    for _ in range(rng.choices((1, 2, 3, 5, 7, 9), (3, 3, 4, 6, 5, 3))[0]):
        roll = rng.random()
        if roll < 0.62:
            word = rng.choice(_WORDS)
        elif roll < 0.93:
            word = _made_up(rng)
        elif roll < 0.96:
            word = str(rng.randrange(0, 1000))
        else:
            word = rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        pause = rng.choices((",", ";", ":", " -"), (8, 1, 1, 1))[0] if rng.random() < 0.13 else ""
        words.append(word + pause)
    text = " ".join(words).rstrip(",;:- ")
    return text[0].upper() + text[1:] + rng.choices((".", "?", "!", ""), (6, 2, 2, 1))[0]


def repertoire() -> list[str]:
    """Every phrase of `tools/pocket/repertoire.toml`; empty while that file doesn't exist."""
    if not REPERTOIRE.exists():
        return []
    found: list[str] = []

    def collect(value: Any, key: str) -> None:
        if isinstance(value, str):
            if key != "name" and "{" not in value:
                found.append(value)
        elif isinstance(value, list):
            for item in value:
                collect(item, key)
        elif isinstance(value, dict):
            for inner, item in value.items():
                collect(item, inner)

    collect(tomllib.loads(REPERTOIRE.read_text(encoding="utf-8")), "")
    return list(dict.fromkeys(found))


def single_sentences(texts: Iterable[str]) -> list[str]:
    """Cut at sentence ends: piper asks the voice for one sentence at a time."""
    return [part for text in texts for part in re.split(r"(?<=[.?!])\s+", text) if part]


def own_sentences() -> list[str]:
    """The hand-written sentences."""
    lines = (HERE / "sentences.txt").read_text(encoding="utf-8").splitlines()
    return single_sentences(line for line in lines if line and not line.startswith("#"))


def training_texts(seed: int, grammar: int = 400, salad: int = 600) -> list[str]:
    """All the sentences to learn from, without doubles, in an order fixed by `seed`."""
    rng = random.Random(seed)
    texts = own_sentences()
    texts += [_sentence(rng) for _ in range(grammar)]
    texts += [_salad(rng) for _ in range(salad)]
    texts += single_sentences(repertoire())
    return list(dict.fromkeys(texts))
