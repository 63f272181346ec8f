"""Moods and gestures that go with a reply, and how a model writes them in front of it.

A reply may start with tags in square brackets: `[happy] [nod] Hello!`. The first is one of the
thirteen emotions of the supervisor's robot, with how strong it is if the model says so
(`[happy 0.8]`); the others are gestures. Tags come first, so that the face moves before the voice.
Sources of the names: the supervisor's contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

EMOTIONS = (
    "neutral", "happy", "excited", "curious", "sad", "scared", "angry", "surprised", "sleepy",
    "love", "silly", "thinking", "confused",
)  # fmt: skip
FACE_GESTURES = (
    "blink", "wink_l", "wink_r", "confused", "laugh", "surprise", "heart", "x_eyes", "sleepy",
    "rage", "nod", "headshake", "wiggle",
)  # fmt: skip
BODY_GESTURES = ("look_at", "spin", "back_up")
GESTURES = FACE_GESTURES + BODY_GESTURES

EMOTION_ALIASES = {"tired": "sleepy"}
GESTURE_ALIASES = {
    "head_shake": "headshake", "head-shake": "headshake", "xeyes": "x_eyes", "x-eyes": "x_eyes",
}  # fmt: skip

DEFAULT_INTENSITY = 0.6
"""Of a mood whose strength the model didn't say."""

# No tag is longer; a bracket that isn't closed by then is part of the text.
_LONGEST = 24
# More gestures than these in front of one reply are a runaway.
_MOST_GESTURES = 4
_TAG = re.compile(r"([^\d.]*?)[\s:,=]*(\d*\.?\d+)?")


def mood_instruction() -> str:
    """The line for a system prompt that asks for tags."""
    return (
        "Start each reply with your mood in square brackets, such as [happy], then a gesture in "
        "brackets if one fits, such as [nod]. "
        f"Moods: {', '.join(EMOTIONS)}. Gestures: {', '.join(GESTURES)}."
    )


@dataclass
class MoodTags:
    """Takes the tags off a streamed reply.

    Feed pieces as they come; what is returned is text to be spoken. `emotion` (None if there was
    none), its `intensity` 0..1 and `gestures` are complete once `settled`: what stands at the front
    counts; `written` is that again, as a model would write it. Unknown words in brackets at the
    front are dropped, and so is a known tag that comes later: a tag is never spoken.
    """

    emotion: str | None = None
    intensity: float = DEFAULT_INTENSITY
    gestures: list[str] = field(default_factory=list)
    settled: bool = False
    written: str = ""
    _held: str = ""
    _after_blank: bool = False
    _closing_gap: bool = False

    def feed(self, piece: str) -> str:
        """Take the next piece of the reply; return what of it is speakable now."""
        self._held += piece
        if not self.settled and not self._front():
            return ""
        return self._later()

    def finish(self) -> str:
        """The reply is over: return what was still held back."""
        rest, self._held = self._held if self.settled else self._held.lstrip(), ""
        self.settled = True
        return rest

    def _front(self) -> bool:
        """Take the tags off the front of what is held; whether their end has been seen."""
        while True:
            self._held = self._held.lstrip()
            if not self._held:
                return False
            if self._held[0] != "[":
                break
            end = self._held.find("]")
            if end < 0 and len(self._held) <= _LONGEST:
                return False
            if not 0 <= end <= _LONGEST:
                break
            self._take(self._held[1:end])
            self._held = self._held[end + 1 :]
        self.settled = True
        return True

    def _later(self) -> str:
        """What is held, without known tags in it and the blank after each; may keep an open one."""
        said: list[str] = []
        while self._held:
            if self._closing_gap:
                self._held = self._held.lstrip()
                self._closing_gap = not self._held
                continue
            start = self._held.find("[")
            self._say(said, self._held if start < 0 else self._held[:start])
            self._held = "" if start < 0 else self._held[start:]
            end = self._held.find("]", 0, _LONGEST + 1)
            if end >= 0 and _known(self._held[1:end]):
                self._held = self._held[end + 1 :]
                self._closing_gap = self._after_blank
            elif end < 0 and len(self._held) <= _LONGEST:
                break
            else:
                self._say(said, self._held[:1])
                self._held = self._held[1:]
        return "".join(said)

    def _say(self, said: list[str], text: str) -> None:
        if text:
            said.append(text)
            self._after_blank = text[-1].isspace()

    def _take(self, tag: str) -> None:
        emotion, gesture, intensity = _read(tag)
        # "confused" and "sleepy" are both: the first tag is the mood.
        if self.emotion is None and emotion in EMOTIONS:
            self.emotion = emotion
            if intensity is not None:
                self.intensity = intensity
            self.written += f"[{emotion}] " if intensity is None else f"[{emotion} {intensity:g}] "
        elif gesture in GESTURES and len(self.gestures) < _MOST_GESTURES:
            self.gestures.append(gesture)
            self.written += f"[{gesture}] "


def _read(tag: str) -> tuple[str, str, float | None]:
    """The words of a tag as an emotion and as a gesture, and its number held to 0..1."""
    match = _TAG.fullmatch(tag.strip().lower())
    words, number = match.groups() if match else (tag, None)
    name = words.strip().replace(" ", "_")
    intensity = None if number is None else min(1.0, float(number))
    return EMOTION_ALIASES.get(name, name), GESTURE_ALIASES.get(name, name), intensity


def _known(tag: str) -> bool:
    emotion, gesture, _ = _read(tag)
    return emotion in EMOTIONS or gesture in GESTURES
