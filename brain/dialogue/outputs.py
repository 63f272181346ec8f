"""What a session tells its robot, free of any wire form. `api` translates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from brain.audio.pcm import Audio
from brain.dialogue.config import SessionConfig
from brain.engines.ports import Emotion

Reason = Literal["completed", "interrupted", "cancelled", "failed"]


@dataclass(frozen=True)
class SpeechStarted:
    turn: int


@dataclass(frozen=True)
class SpeechStopped:
    turn: int


@dataclass(frozen=True)
class UserPartial:
    """What was heard so far of a turn that is still open. Each takes the place of the last."""

    text: str
    turn: int


@dataclass(frozen=True)
class UserSaid:
    text: str
    turn: int


@dataclass(frozen=True)
class Unattended:
    """What was said in this turn wasn't for the robot; what that was is told to nobody."""

    turn: int


@dataclass(frozen=True)
class AttentionTurned:
    """`on`: whoever speaks now is answered; else who says a wake phrase."""

    on: bool


@dataclass(frozen=True)
class ReplyStarted:
    turn: int
    reply_id: int


@dataclass(frozen=True)
class EmotionShown:
    """The mood that the reply is said in, and gestures that go with it; before its first word."""

    emotion: Emotion
    gestures: tuple[str, ...]
    reply_id: int


@dataclass(frozen=True)
class FillerStarted:
    """The sound of a filler begins to be sent: no part of the answer, which goes on after it."""

    text: str
    reply_id: int


@dataclass(frozen=True)
class ReplyAudio:
    """`seq` counts the pieces of one reply from 0."""

    audio: Audio
    reply_id: int
    seq: int


@dataclass(frozen=True)
class ClauseStarted:
    """The sound of this clause begins to be sent."""

    text: str
    reply_id: int


@dataclass(frozen=True)
class AssistantSaid:
    """The whole of a reply; of an interrupted one, what was heard of it."""

    text: str
    reply_id: int


@dataclass(frozen=True)
class ToolCalled:
    """`arguments` is the text of a JSON object."""

    name: str
    arguments: str
    call_id: str
    reply_id: int


@dataclass(frozen=True)
class Timings:
    """Stages of one reply, in ms; None for a stage that it didn't have.

    endpoint: from the last speech to the confirmed end. ahead: so long before that end hearing had
    begun, and the other stages after it; None where it began at the end. stt: of the transcription.
    llm_first_token, first_clause: since the reply started. tts_first_audio: since the first clause.
    voice_to_voice_server: from the arrival of the last speech to the sending of the first sound. A
    filler is no part of it.
    """

    endpoint: float | None = None
    ahead: float | None = None
    stt: float | None = None
    llm_first_token: float | None = None
    first_clause: float | None = None
    tts_first_audio: float | None = None
    voice_to_voice_server: float | None = None


@dataclass(frozen=True)
class ReplyDone:
    reply_id: int
    reason: Reason
    timings: Timings


@dataclass(frozen=True)
class Listening:
    """What was under way has ended, or was cancelled: it is the user's turn."""


@dataclass(frozen=True)
class Problem:
    """An error that keeps the session: a stable snake_case code and what to do.

    `turn`: whose end, or whose reply's, it is; None for an error outside of turns.
    """

    code: str
    message: str
    turn: int | None = None


@dataclass(frozen=True)
class SessionUpdated:
    """The session as it now stands; `unknown_voice` was asked for in vain."""

    config: SessionConfig
    unknown_voice: str | None = None


@dataclass(frozen=True)
class Pong:
    """The answer to a ping, with whatever that carried."""

    t: object


@dataclass(frozen=True)
class Closed:
    """The last thing a session says: the wire closes with this code and reason."""

    code: int
    reason: str


Output = (
    SpeechStarted
    | SpeechStopped
    | UserPartial
    | UserSaid
    | Unattended
    | AttentionTurned
    | ReplyStarted
    | EmotionShown
    | FillerStarted
    | ReplyAudio
    | ClauseStarted
    | AssistantSaid
    | ToolCalled
    | ReplyDone
    | Listening
    | Problem
    | SessionUpdated
    | Pong
    | Closed
)
