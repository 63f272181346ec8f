"""What a reply runs on, and what the session's inbox gets to know of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from brain.audio.pcm import Audio
from brain.engines.ports import Emotion, Message, ToolCall, ToolSpec


@dataclass(frozen=True)
class Brief:
    """What a reply runs on: an immutable snapshot.

    `text` is spoken as it stands, without the model, where it isn't None. `mute`: words of the
    model are not spoken (an idle robot acts with tool calls only). `moods`: the model was asked to
    begin with its mood. `temperature` and `max_tokens`: None is the model's own.
    """

    reply_id: int
    turn: int
    messages: Sequence[Message] = ()
    tools: Sequence[ToolSpec] = ()
    text: str | None = None
    voice: str | None = None
    output_sample_rate: int = 16_000
    mute: bool = False
    moods: bool = False
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class FirstToken:
    """`at`: when it came, by the loop's clock (it may be told later)."""

    reply_id: int
    at: float


@dataclass(frozen=True)
class MoodTold:
    """The model has told its mood, or gestures without one. `written`: as it wrote them."""

    reply_id: int
    emotion: Emotion | None
    gestures: tuple[str, ...]
    written: str


@dataclass(frozen=True)
class FirstClause:
    """`at`: as of `FirstToken`."""

    reply_id: int
    at: float


@dataclass(frozen=True)
class Called:
    """The model called a tool."""

    reply_id: int
    call: ToolCall


@dataclass(frozen=True)
class Block:
    """Sound to be sent now; `clause` is set on the first block of each clause.

    `audio` is None where there is no voice: the clause is only shown. Neither of them: all sound of
    the last clause has been sent. `at`: when it was made.
    """

    reply_id: int
    audio: Audio | None
    clause: str | None = None
    at: float = 0.0


@dataclass(frozen=True)
class AllSaid:
    """Everything has been sent."""

    reply_id: int


@dataclass(frozen=True)
class Unseen:
    """The model turned out not to see, and answers without the pictures."""

    reply_id: int


@dataclass(frozen=True)
class Failed:
    """An engine failed. `mute`: it was the voice."""

    reply_id: int
    code: str
    message: str
    mute: bool = False


Progress = FirstToken | MoodTold | FirstClause | Called | Block | AllSaid | Unseen | Failed

Post = Callable[[Progress], None]
