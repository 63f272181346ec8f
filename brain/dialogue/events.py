"""What happens to a session, as far as turn-taking cares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from brain.dialogue.state import Rules


@dataclass(frozen=True)
class Frame:
    """A frame of the microphone was judged; `end` is the sample after its last."""

    speech: bool
    end: int


@dataclass(frozen=True)
class Sound:
    """Sound of the microphone that isn't judged: push-to-talk, or a deaf ear."""

    end: int


@dataclass(frozen=True)
class Starved:
    """An utterance is open and no sound has come for a while: the robot has stopped sending."""


@dataclass(frozen=True)
class EndUtterance:
    pass


@dataclass(frozen=True)
class Clear:
    pass


@dataclass(frozen=True)
class Cancel:
    pass


@dataclass(frozen=True)
class Typed:
    text: str


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class IdleSignal:
    """The robot has been idle; `note` is what the model is told of it."""

    note: str


@dataclass(frozen=True)
class ChangeRules:
    rules: Rules


@dataclass(frozen=True)
class Transcribed:
    turn: int
    text: str


@dataclass(frozen=True)
class Foreseen:
    """What was heard of a turn that may not be over yet. `silence`: so many samples of it end the
    turn after these words; None: as many as ever."""

    turn: int
    revision: int
    text: str
    silence: int | None = None


@dataclass(frozen=True)
class Judged:
    """The sound of a turn that may not be over yet was judged: `silence` as in `Foreseen`."""

    turn: int
    revision: int
    silence: int


Meaning = Literal["words", "fragment", "backchannel", "nothing", "own_voice", "failed"]
"""Of speech over a reply. fragment: what may become a back-channel yet. nothing: no words in it.
own_voice: the robot has heard itself. failed: it couldn't be heard."""


@dataclass(frozen=True)
class Overheard:
    """What was heard of speech over a reply, by the hearing of this number."""

    number: int
    text: str
    meaning: Meaning


@dataclass(frozen=True)
class PartlyHeard:
    """What was heard of an open turn up to the sample `end`."""

    turn: int
    text: str
    end: int


@dataclass(frozen=True)
class TranscriptionFailed:
    turn: int
    code: str
    message: str


@dataclass(frozen=True)
class CallMade:
    """The reply called a tool."""

    reply_id: int
    call_id: str


@dataclass(frozen=True)
class ToolResult:
    call_id: str
    output: str
    follow_up: bool


@dataclass(frozen=True)
class ToolPicture:
    """A picture that belongs to the result of a tool call."""

    call_id: str
    picture: bytes


@dataclass(frozen=True)
class ToolsOverdue:
    """The results of this reply's calls have been waited for long enough."""

    reply_id: int


@dataclass(frozen=True)
class SoundBegan:
    """The robot's loudspeaker begins to sound."""


@dataclass(frozen=True)
class SoundEnded:
    """The loudspeaker has fallen silent, and the tail after it is over."""


@dataclass(frozen=True)
class ReplyPlayed:
    """All of the reply has been said, and has been heard as far as is known."""

    reply_id: int


@dataclass(frozen=True)
class ReplyFailed:
    """An engine failed the reply. `mute`: not even an apology can be spoken."""

    reply_id: int
    code: str
    message: str
    mute: bool = False


@dataclass(frozen=True)
class AttentionLapsed:
    """Nobody has spoken to the robot since this window began."""

    window: int


@dataclass(frozen=True)
class Hangup:
    """The connection is gone, or going."""


Event = (
    Frame
    | Sound
    | Starved
    | EndUtterance
    | Clear
    | Cancel
    | Typed
    | Say
    | IdleSignal
    | ChangeRules
    | Transcribed
    | Foreseen
    | PartlyHeard
    | Judged
    | Overheard
    | TranscriptionFailed
    | CallMade
    | ToolResult
    | ToolPicture
    | ToolsOverdue
    | SoundBegan
    | SoundEnded
    | ReplyPlayed
    | ReplyFailed
    | AttentionLapsed
    | Hangup
)
