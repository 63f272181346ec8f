"""What the brain says to the robot: protocol 1 of `/ws`, one dataclass a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PROTOCOL = 1
SAMPLE_RATES = (8_000, 16_000, 22_050, 24_000, 48_000)
DEFAULT_SAMPLE_RATE = 16_000

Reason = Literal["completed", "interrupted", "cancelled", "failed"]
REASONS: tuple[Reason, ...] = ("completed", "interrupted", "cancelled", "failed")


@dataclass(frozen=True)
class EngineName:
    """One engine of the brain, as `ready` names it; `degraded` if it isn't the wanted one."""

    name: str = ""
    model: str = ""
    degraded: bool = False


@dataclass(frozen=True)
class Ready:
    """The brain's first word. `resumed`: it still has this robot's history. Rates in Hz."""

    protocol: int = PROTOCOL
    session_id: str = ""
    robot_id: str = ""
    resumed: bool = False
    profile: str = ""
    voices: tuple[str, ...] = ()
    input_sample_rate: int = DEFAULT_SAMPLE_RATE
    output_sample_rate: int = DEFAULT_SAMPLE_RATE
    engines: Mapping[str, EngineName] = field(default_factory=dict)


@dataclass(frozen=True)
class SessionUpdated:
    """The session as it now stands: every field of the frame but `type`."""

    session: Mapping[str, Any]


@dataclass(frozen=True)
class SpeechStarted:
    """The user has certainly begun to speak; what is queued for the speaker is dropped."""

    turn: int = 0


@dataclass(frozen=True)
class SpeechStopped:
    """The end of the user's speech is confirmed."""

    turn: int = 0


@dataclass(frozen=True)
class TranscriptUserPartial:
    """What has been heard so far."""

    text: str
    turn: int = 0


@dataclass(frozen=True)
class TranscriptUser:
    """What was heard."""

    text: str
    turn: int = 0


@dataclass(frozen=True)
class Unattended:
    """What was said wasn't for the robot: the turn is over, and nothing more comes of it."""

    turn: int = 0


@dataclass(frozen=True)
class AttentionTurned:
    """`on`: whoever speaks now is answered; else who says a wake phrase."""

    on: bool


@dataclass(frozen=True)
class ReplyStarted:
    """A reply begins; it will end with exactly one `ReplyDone`."""

    reply_id: int
    turn: int = 0


@dataclass(frozen=True)
class AudioDelta:
    """Sound of a reply: `pcm` is signed 16-bit little-endian mono at `sample_rate` Hz."""

    pcm: bytes
    sample_rate: int = DEFAULT_SAMPLE_RATE
    reply_id: int = 0
    seq: int = 0


@dataclass(frozen=True)
class Filler:
    """A word while the robot thinks, as its sound begins to be sent; no part of the answer."""

    text: str
    reply_id: int = 0


@dataclass(frozen=True)
class TranscriptAssistantDelta:
    """A clause of the reply, as its sound begins to be sent."""

    text: str
    reply_id: int = 0


@dataclass(frozen=True)
class TranscriptAssistant:
    """The whole of the reply; of an interrupted one, what was heard."""

    text: str
    reply_id: int = 0


@dataclass(frozen=True)
class ToolCall:
    """The brain wants a tool used. `args` is the text of a JSON object."""

    name: str
    args: str = "{}"
    call_id: str = ""
    reply_id: int = 0


@dataclass(frozen=True)
class Emotion:
    """How the character feels, before its reply is heard; intensity from 0 to 1.

    `gestures` go with the reply.
    """

    name: str
    intensity: float = 1.0
    gestures: tuple[str, ...] = ()
    reply_id: int = 0


@dataclass(frozen=True)
class ReplyDone:
    """A reply has ended; nothing more of it comes. `timings_ms` are the brain's own, by stage."""

    reply_id: int
    reason: Reason
    timings_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ErrorMessage:
    """Something went wrong; a stable code and a sentence that says what to do."""

    code: str
    message: str = ""
    fatal: bool = False


@dataclass(frozen=True)
class Pong:
    """The answer to a `ping` with the same `t`."""

    t: Any = None


@dataclass(frozen=True)
class Unknown:
    """A message of a type that this client doesn't know."""

    type: str
    fields: Mapping[str, Any]


Message = (
    Ready
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | TranscriptUserPartial
    | TranscriptUser
    | Unattended
    | AttentionTurned
    | ReplyStarted
    | AudioDelta
    | Filler
    | TranscriptAssistantDelta
    | TranscriptAssistant
    | ToolCall
    | Emotion
    | ReplyDone
    | ErrorMessage
    | Pong
    | Unknown
)
