"""How a wording reaches the mind: as the ears write it, typed well or in haste, misheard."""

from __future__ import annotations

import random
import re

_CONTRACTIONS = (
    ("what is", "what's"), ("who is", "who's"), ("where is", "where's"), ("how is", "how's"),
    ("it is", "it's"), ("that is", "that's"), ("i am", "i'm"), ("you are", "you're"),
    ("do not", "don't"), ("cannot", "can't"), ("let us", "let's"), ("i would", "i'd"),
    ("does not", "doesn't"), ("is not", "isn't"), ("i have", "i've"), ("i will", "i'll"),
    ("there is", "there's"), ("name is", "name's"), ("did not", "didn't"),
)  # fmt: skip
_MISHEARD = {
    "to": "two", "two": "to", "too": "to", "your": "you're", "you're": "your", "you": "u",
    "are": "r", "there": "their", "right": "write", "four": "for", "for": "four", "know": "no",
    "nod": "not", "see": "sea", "hear": "here", "here": "hear", "eight": "ate", "one": "won",
    "ball": "bowl", "look": "looks", "tell": "tells", "dance": "dances", "a": "the", "the": "a",
    "color": "colour", "please": "pleas", "want": "wanna", "would": "wood", "what": "wat",
    "can": "can", "is": "his", "joke": "jokes", "sad": "said", "stop": "stopped",
    "robot": "robots", "my": "may", "me": "be",
}  # fmt: skip
_FILLERS = ("um", "uh", "er", "like", "well", "you know", "so", "hmm")
_SMALL = {
    "the", "a", "an", "please", "to", "me", "you", "is", "are", "do", "can", "of", "for", "your",
    "it", "now", "and", "i", "my", "would", "could", "that", "robot", "so", "just",
}  # fmt: skip


def written(kind: str, text: str, rng: random.Random, *, noisy: float = 0.45) -> str:
    """`text` as somebody might write it. `noisy` is the share that isn't neat."""
    text = _contract(text, rng)
    if rng.random() >= noisy:
        return _neat(kind, text)
    dice = rng.random()
    if dice < 0.30:
        return text.lower()
    if dice < 0.40:
        return re.sub(r"[^\w\s'+-]", "", text).lower()
    if dice < 0.55:
        return _neat(kind, _slip(text, rng))
    if dice < 0.68:
        return _neat(kind, _drop(text, rng))
    if dice < 0.78:
        return _neat(kind, _fill(text, rng))
    if dice < 0.90:
        return _typo(text if rng.random() < 0.5 else text.lower(), rng)
    if dice < 0.93:
        return text.upper()
    if dice < 0.96:
        return text.replace("'", "").lower()
    return _neat(kind, text)[:-1] + rng.choice(["...", "!!", "?!", "", " ", "??", "..", " :)"])


def _neat(kind: str, text: str) -> str:
    text = re.sub(r"\bi\b", "I", text)
    end = {"!": "!" if len(text) < 12 else ".", "?": "?", ".": "."}[kind]
    return f"{text[:1].upper()}{text[1:]}{end}"


def _contract(text: str, rng: random.Random) -> str:
    for long, short in _CONTRACTIONS:
        if rng.random() < 0.5:
            text = re.sub(rf"\b{long}\b", short, text, flags=re.IGNORECASE)
    return text


def _slip(text: str, rng: random.Random) -> str:
    words = text.split()
    places = [i for i, word in enumerate(words) if word.lower() in _MISHEARD]
    if places:
        place = rng.choice(places)
        words[place] = _MISHEARD[words[place].lower()]
    return " ".join(words)


def _drop(text: str, rng: random.Random) -> str:
    words = text.split()
    places = [i for i, word in enumerate(words) if word.lower().strip(",") in _SMALL]
    if len(words) > 2 and places:
        del words[rng.choice(places)]
    return " ".join(words)


def _fill(text: str, rng: random.Random) -> str:
    words = text.split()
    words.insert(rng.randint(0, len(words)), rng.choice(_FILLERS))
    return " ".join(words)


def _typo(text: str, rng: random.Random) -> str:
    places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i - 1].isalpha()]
    if not places:
        return text
    at = rng.choice(places)
    dice = rng.random()
    if dice < 0.4:
        return text[:at] + text[at + 1 :]
    if dice < 0.7:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at] + text[at:]
