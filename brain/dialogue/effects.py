"""What turn-taking asks for. The session runs them, in the order given."""

from __future__ import annotations

from dataclasses import dataclass

from brain.dialogue.outputs import (
    AttentionTurned,
    Problem,
    Reason,
    SpeechStarted,
    SpeechStopped,
    Unattended,
    UserPartial,
    UserSaid,
)
from brain.dialogue.state import Kind


@dataclass(frozen=True)
class Send:
    output: (
        SpeechStarted
        | SpeechStopped
        | UserPartial
        | UserSaid
        | Unattended
        | AttentionTurned
        | Problem
    )


@dataclass(frozen=True)
class StartTranscription:
    """Hear samples [start, end) of this session's microphone. `voiced_end`: of its last speech.

    What has been heard of them ahead, or is being heard, stands: `known`: what was said in them is
    known, and nothing is left to be heard.
    """

    turn: int
    revision: int
    start: int
    end: int
    voiced_end: int
    known: bool = False


@dataclass(frozen=True)
class HearAhead:
    """Hear samples [start, end): the user has paused, and may have finished. Nothing waits for it,
    and nobody is told."""

    turn: int
    revision: int
    start: int
    end: int


@dataclass(frozen=True)
class HearPartial:
    """Hear samples [start, end), what was said so far, if there is time for it just now. It is
    asked for again with every frame. `pausing`: that is all, and the user has fallen silent."""

    turn: int
    revision: int
    start: int
    end: int
    pausing: bool


@dataclass(frozen=True)
class PrepareReply:
    """Make the answer to `text` ahead, and keep it: a `StartReply` may come for it. One to the same
    words that is being made stands; any other is dropped."""

    turn: int
    text: str


@dataclass(frozen=True)
class DropAhead:
    """The user went on, or it has come to nothing otherwise: stop what runs ahead."""


@dataclass(frozen=True)
class DropPrepared:
    """Nobody will want the reply that was begun ahead."""


@dataclass(frozen=True)
class Resumed:
    """After `pause` samples of silence in `turn`, or since its end, there is more speech."""

    turn: int
    pause: int


@dataclass(frozen=True)
class HoldReply:
    """Send no more of the active reply for now; what makes it goes on."""

    reply_id: int


@dataclass(frozen=True)
class ResumeReply:
    """Go on sending the active reply, at the very sample where it was held."""

    reply_id: int


@dataclass(frozen=True)
class Overhear:
    """Hear samples [start, end), spoken over a reply: an `Overheard` of this number tells what they
    are. `whole`: the speaker pauses, and the reply's fate hangs on it. One at a time: another one
    takes its place."""

    number: int
    start: int
    end: int
    whole: bool


@dataclass(frozen=True)
class DropOverheard:
    """What is being overheard has become irrelevant."""


@dataclass(frozen=True)
class AdoptOverheard:
    """What was overheard last, of the sound from `start` to `end`, was heard of this turn, ahead of
    its end."""

    turn: int
    revision: int
    start: int
    end: int


@dataclass(frozen=True)
class Remember:
    """The user said this: it belongs into the history.

    `late`: it isn't answered, and belongs before the words of later turns.
    """

    text: str
    turn: int
    late: bool = False


@dataclass(frozen=True)
class RememberResult:
    """A tool's result belongs into the history."""

    call_id: str
    output: str


@dataclass(frozen=True)
class RememberPicture:
    """A picture belongs to a tool's result, which is in the history or will be."""

    call_id: str
    picture: bytes


@dataclass(frozen=True)
class StartReply:
    """`text`: for kind "say" what to say, for "apology" its code, for "idle" the note."""

    reply_id: int
    turn: int
    kind: Kind
    text: str = ""


@dataclass(frozen=True)
class Apologise:
    """The active reply failed: say so within it, instead of the rest."""

    reply_id: int
    code: str


@dataclass(frozen=True)
class EndReply:
    """Stop whatever the reply still does, and say how it ended. Exactly one a `StartReply`."""

    reply_id: int
    reason: Reason


@dataclass(frozen=True)
class AwaitTools:
    """A follow-up of this reply waits for tool results: `ToolsOverdue` after the time-out."""

    reply_id: int


@dataclass(frozen=True)
class KeepAttention:
    """The conversation rests; it may be gone on with for a while: `AttentionLapsed` after that."""

    window: int


@dataclass(frozen=True)
class ForgetSound:
    """The unfinished utterance is gone: the detector starts afresh."""


Effect = (
    Send
    | StartTranscription
    | HearAhead
    | HearPartial
    | PrepareReply
    | DropAhead
    | DropPrepared
    | Resumed
    | HoldReply
    | ResumeReply
    | Overhear
    | DropOverheard
    | AdoptOverheard
    | Remember
    | RememberResult
    | RememberPicture
    | StartReply
    | Apologise
    | EndReply
    | AwaitTools
    | KeepAttention
    | ForgetSound
)
