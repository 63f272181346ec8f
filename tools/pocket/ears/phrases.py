"""What the ears are taught to write: texts with weights, from the repertoire and made from it."""

from __future__ import annotations

import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

REPERTOIRE = Path(__file__).parents[1] / "repertoire.toml"


@dataclass(frozen=True)
class Phrase:
    """A text as the ears should write it, its family, and how many clips to make of it."""

    text: str
    family: str
    clips: int


@dataclass(frozen=True)
class Repertoire:
    """The repertoire's sections; `phrasings` are what is measured."""

    phrasings: tuple[str, ...]
    small: tuple[str, ...]
    cut: tuple[str, ...]
    digits: tuple[str, ...]
    replies: tuple[str, ...]


def read(path: Path = REPERTOIRE) -> Repertoire:
    """Read the repertoire file. Raises `KeyError` when a section is missing."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return Repertoire(
        phrasings=tuple(p for intent in data["intent"] for p in intent["phrasings"]),
        small=(*data["backchannels"], *data["hesitations"]),
        cut=tuple(data["cut"]),
        digits=tuple(data["numbers"]),
        replies=tuple(data["replies"]),
    )


def normalised(text: str) -> str:
    """Lower case without punctuation or double spaces: what is compared in every figure."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())


def dictated(rng: random.Random, digits: tuple[str, ...]) -> str:
    """Two to five digits as dictated: "One, four, seven."."""
    words = [rng.choice(digits) for _ in range(rng.randint(2, 5))]
    return ", ".join(words).capitalize() + "."


def curriculum(repertoire: Repertoire, seed: int) -> list[Phrase]:
    """Every text to be spoken for training. The same seed gives the same list."""
    rng = random.Random(seed)
    phrases = [Phrase(t, "phrasing", 84) for t in repertoire.phrasings]
    phrases += [Phrase(t, "small", 84) for t in repertoire.small]
    phrases += [Phrase(t, "cut", 60) for t in repertoire.cut]
    phrases += [Phrase(t, "reply", 26) for t in repertoire.replies]
    known = {normalised(p.text) for p in phrases}

    def add(text: str, family: str, clips: int) -> None:
        if normalised(text) not in known:
            known.add(normalised(text))
            phrases.append(Phrase(text, family, clips))

    for text in repertoire.phrasings:
        words = text.rstrip(".!?").split()
        for end in range(1, len(words)):
            add(" ".join(words[:end]).rstrip(",.!?"), "prefix", 4)
    for text in repertoire.phrasings:
        lower = text if re.match(r"I\b", text) else text[0].lower() + text[1:]
        add(f"Hey robot, {lower}", "address", 3)
        add(f"Robot, {lower}", "address", 2)
        add(f"{text.rstrip('.!?')}, please{text[-1]}", "address", 1)
    for _ in range(1600):
        add(dictated(rng, repertoire.digits), "number", 2)
    # Sentences that nobody says: they keep the ears listening instead of guessing.
    for _ in range(2500):
        head = rng.choice(repertoire.phrasings).rstrip(".!?").split()
        tail = rng.choice(repertoire.phrasings + repertoire.replies[:120]).split()
        start = " ".join(head[: rng.randint(1, len(head))]).rstrip(",.!?")
        rest = tail[-rng.randint(1, 4) :]
        if len(rest) == len(tail) and rest[0] != "I":
            rest = [rest[0].lower(), *rest[1:]]
        add(f"{start} {' '.join(rest)}", "mixed", 1)
    return phrases
