"""Moods and gestures that go with a reply, and how a model writes them in front of it.

A reply may start with tags in square brackets: `[happy] [nod] Hello!`. The first is one of the
thirteen emotions of the supervisor's robot, the others are gestures. Tags come first, so that the
face moves before the voice. Sources of the names: the supervisor's contract.
"""

from __future__ import annotations

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

# No tag is longer; a bracket that isn't closed by then is part of the text.
_LONGEST = 24


def mood_instruction() -> str:
    """The line for a system prompt that asks for tags."""
    return (
        "Start each reply with your mood in square brackets, such as [happy], then a gesture in "
        "brackets if one fits, such as [nod]. "
        f"Moods: {', '.join(EMOTIONS)}. Gestures: {', '.join(GESTURES)}."
    )


@dataclass
class MoodTags:
    """Takes the tags off the front of a streamed reply.

    Feed pieces as they come; what is returned is text to be spoken. `emotion` (None if there was
    none) and `gestures` are complete once `settled`. Unknown words in brackets at the front are
    dropped: a tag is never spoken.
    """

    emotion: str | None = None
    gestures: list[str] = field(default_factory=list)
    settled: bool = False
    _held: str = ""

    def feed(self, piece: str) -> str:
        """Take the next piece of the reply; return what of it is speakable now."""
        if self.settled:
            return piece
        self._held += piece
        while True:
            rest = self._held.lstrip()
            if not rest:
                return ""
            if rest[0] != "[":
                return self._settle(rest)
            end = rest.find("]")
            if end < 0:
                return "" if len(rest) <= _LONGEST else self._settle(rest)
            if end > _LONGEST:
                return self._settle(rest)
            self._take(rest[1:end])
            self._held = rest[end + 1 :]

    def finish(self) -> str:
        """The reply is over: return what was still held back."""
        return "" if self.settled else self._settle(self._held.lstrip())

    def _settle(self, text: str) -> str:
        self.settled = True
        self._held = ""
        return text

    def _take(self, tag: str) -> None:
        name = tag.strip().lower().replace(" ", "_")
        emotion = EMOTION_ALIASES.get(name, name)
        gesture = GESTURE_ALIASES.get(name, name)
        # "confused" and "sleepy" are both: the first tag is the mood.
        if self.emotion is None and emotion in EMOTIONS:
            self.emotion = emotion
        elif gesture in GESTURES:
            self.gestures.append(gesture)
