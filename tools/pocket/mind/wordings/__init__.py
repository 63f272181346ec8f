"""Wordings of every intent: a small paraphrase grammar in text files, and a sampler over it.

Notation: `[intent]` opens a section. A line is a pattern; its first character says what kind of
sentence it is (`!` imperative, `?` question, `.` statement), which decides what may stand before
and after it. `(a|b|)` is a choice, nested at will. `$slot` is filled by the caller, `@list` at
random from a list defined in the same file by `@list = a|b`.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BEFORE = {
    "!": (
        "please", "can you", "could you", "can you please", "could you please", "would you",
        "would you please", "will you", "will you please", "I want you to", "I would like you to",
        "I'd like you to", "I need you to", "go ahead and", "try to", "now", "hey robot,",
        "robot,", "robo,", "hey,", "okay robot,", "you should", "you can", "let me see you",
        "do me a favor and", "quick,", "just", "why don't you", "how about you",
        "is it possible for you to", "are you able to", "do you think you could",
        "it would be nice if you could", "okay,", "it is time to", "I want to see you",
        "be so kind and", "be so kind to", "be nice and", "hey robo, can you", "I ask you to",
        "hey robot, please", "robot, can you", "you must", "you have to", "you may",
        "may I ask you to", "I wish you would", "so,", "well,", "um,", "uh,", "and now",
        "can you maybe", "could you perhaps", "hey you,", "dear robot,", "come on,",
        "let me ask you to", "I would love you to", "please robot,", "hello robot, please",
        "first,", "I'd love it if you would", "I want to ask you to", "if you can,", "right now,",
        "quickly", "it would be great if you could", "I'd be happy if you could", "feel free to",
        "your task is to", "I command you to", "I am asking you to", "next,",
        "let's see if you can", "I bet you can", "I'd appreciate it if you would",
        "it'd be lovely if you could", "hey, could you", "would you be able to",
        "can I get you to", "would you kindly", "kindly",
        "yes,", "and", "then",
    ),
    "?": (
        "hey", "robot,", "so", "tell me,", "I wonder,", "excuse me,", "um,", "okay,", "well,",
        "please tell me,", "say,", "hey robo,", "listen,", "one question,", "may I ask,", "now",
        "and", "by the way,", "quick question,", "hey robot,", "robo,", "I have a question,",
        "but", "I would like to know,", "can you tell me,", "do you know,", "hello robot,", "oh,",
        "uh,", "I want to know,", "sorry,", "just curious,", "I was wondering,", "hi,", "hello,",
        "answer me,",
    ),
    ".": (
        "hey", "robot,", "oh", "well,", "um,", "so", "you know,", "hey robo,", "okay,",
        "hey robot,", "robo,", "I think", "uh,", "hello,", "hi,", "listen,", "and", "but",
        "oh well,", "now", "just",
    ),
}  # fmt: skip
_AFTER = {
    "!": (
        "please", "robot", "robo", "now", "right now", "for me", "for us", "okay", "thanks",
        "buddy", "my friend", "would you", "will you", "if you can", "a bit", "quickly", "once",
        "please robot", "for a moment", "a little", "thank you", "at once", "today", "if you like",
        "slowly", "okay robot", "my dear", "little robot", "immediately", "then", "could you",
        "for a second", "if possible",
    ),
    "?": (
        "robot", "please", "robo", "then", "actually", "right now", "exactly", "by the way",
        "today", "my friend", "anyway", "little robot", "do you know", "if I may ask", "again",
        "really", "now", "buddy", "at the moment", "I wonder",
    ),
    ".": (
        "robot", "robo", "my friend", "you know", "buddy", "now", "today", "okay", "little robot",
    ),
}  # fmt: skip


# How often a sentence is turned into another form, where that can be done.
_TURNED = 0.12
_BEFORE_GERUND = (
    "would you mind", "mind", "do you mind", "how about", "what about", "I would appreciate you",
    "have you thought of", "are you capable of", "how do you feel about", "could I get you",
    "consider", "try", "what do you say to", "I'm in the mood for you",
)  # fmt: skip
_BEFORE_CLAUSE = (
    "I wonder", "I was wondering", "can you tell me", "could you tell me", "tell me",
    "do you know", "I'd like to know", "I want to know", "any idea", "would you tell me",
    "please tell me", "let me know", "do you have any idea", "say", "I would love to know",
    "explain to me", "I am curious",
)  # fmt: skip
_VERBS = (
    "look", "turn", "face", "glance", "gaze", "peek", "watch", "point", "tilt", "rotate", "swing",
    "move", "bring", "lift", "raise", "lower", "drop", "nod", "shake", "dance", "show", "tell",
    "give", "make", "do", "play", "sing", "hum", "count", "say", "repeat", "stop", "stay", "come",
    "follow", "walk", "find", "fetch", "search", "check", "use", "take", "describe", "explain",
    "introduce", "speak", "talk", "laugh", "smile", "cry", "act", "pretend", "be", "calm", "relax",
    "wake", "open", "go", "close", "sleep", "rest", "read", "add", "calculate", "subtract",
    "teach", "share", "stand", "freeze", "hold", "keep", "bob", "wiggle", "start", "perform",
    "put", "get", "track", "chase", "catch", "whisper", "increase", "reduce", "decrease", "return",
    "center", "straighten", "greet", "wait", "help", "sound", "imitate",
)  # fmt: skip
_DOUBLED = {"stop", "nod", "get", "put", "hum", "bob", "drop"}


def _gerund(verb: str) -> str:
    if verb == "lie":
        return "lying"
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ing"
    return f"{verb[:-1]}ing" if verb.endswith("e") and verb not in ("be", "see") else f"{verb}ing"


_GERUNDS = {verb: _gerund(verb) for verb in _VERBS}


@dataclass(frozen=True)
class Pattern:
    """One line of a wordings file."""

    kind: str
    text: str


class Wordings:
    """All patterns by intent, and the sampler."""

    def __init__(self, folder: Path) -> None:
        self.patterns: dict[str, list[Pattern]] = {}
        self._lists: dict[str, list[str]] = {}
        for path in sorted(folder.glob("*.txt")):
            self._read(path)

    def _read(self, path: Path) -> None:
        section = path.stem
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                section = line.strip("[]")
            elif line.startswith("@"):
                name, _, values = line[1:].partition("=")
                self._lists[name.strip()] = [value.strip() for value in values.split("|")]
            else:
                pattern = Pattern(line[0], line[1:].strip())
                self.patterns.setdefault(section, []).append(pattern)

    def core(self, intent: str, slots: dict[str, str], rng: random.Random) -> tuple[str, str]:
        """The kind and one wording of `intent`, without anything before or after it."""
        patterns = self.patterns[intent]
        # Patterns with more alternatives say more: weigh by the root of their number.
        weights = [_count(pattern.text) ** 0.5 for pattern in patterns]
        pattern = rng.choices(patterns, weights)[0]
        text = _expand(pattern.text, rng)
        text = re.sub(r"@(\w+)", lambda found: rng.choice(self._lists[found[1]]), text)
        for name in sorted(slots, key=len, reverse=True):
            text = text.replace(f"${name}", slots[name])
        return pattern.kind, " ".join(text.split()).replace(" ,", ",")

    def sample(self, intent: str, slots: dict[str, str], rng: random.Random) -> tuple[str, str]:
        """The kind and a wording of `intent`, often with something before or after it."""
        kind, text = self.core(intent, slots, rng)
        if rng.random() < _TURNED:
            turned = turn(kind, text, rng)
            if turned:
                return ".", turned
        before, after = rng.random() < 0.5, rng.random() < 0.25
        if before:
            lead = rng.choice(_BEFORE[kind])
            text = f"{lead} {text}" if not text.startswith(lead.split()[0]) else text
        if after:
            tail = rng.choice(_AFTER[kind])
            text = f"{text}{rng.choice([' ', ', '])}{tail}" if not text.endswith(tail) else text
        return kind, text


def turn(kind: str, text: str, rng: random.Random) -> str:
    """Another form of the sentence: "mind looking up", "I wonder what your name is"; or nothing."""
    first, _, rest = text.partition(" ")
    if kind == "!" and first in _GERUNDS:
        return f"{rng.choice(_BEFORE_GERUND)} {_GERUNDS[first]} {rest}".strip()
    asked = re.fullmatch(r"(what|who|where|how) (is|are) (?!it\b|there\b)(.+)", text)
    if asked and kind == "?":
        return f"{rng.choice(_BEFORE_CLAUSE)} {asked[1]} {asked[3]} {asked[2]}"
    asked = re.fullmatch(r"(are|can|do|have|will) (you|I|we) (.+)", text)
    if asked and kind == "?":
        verb = "" if asked[1] == "do" else f"{asked[1]} "
        joint = rng.choice(["if", "whether"])
        return f"{rng.choice(_BEFORE_CLAUSE)} {joint} {asked[2]} {verb}{asked[3]}"
    return ""


def _expand(text: str, rng: random.Random) -> str:
    inner = re.compile(r"\(([^()]*)\)")
    while inner.search(text):
        text = inner.sub(lambda found: rng.choice(found[1].split("|")), text, count=1)
    return text


@cache
def _count(text: str) -> int:
    """How many wordings a pattern has, roughly: the product of its alternatives."""
    total = 1
    for group in re.findall(r"\(([^()]*)\)", text):
        total *= group.count("|") + 1
    return total
