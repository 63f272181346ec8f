"""The ports behind which every engine stands, what passes through them, and their errors.

A lane (`brain.engines.lane`) and a ladder (`brain.engines.ladder`) are themselves ports around
ports: whoever holds a `Transcriber` need not know how many of them are behind it.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio

# -- errors ------------------------------------------------------------------------------------


class EngineError(Exception):
    """Root of what an engine may raise; the message is a sentence that says what to do."""


class EngineBusy(EngineError):
    """The lane is full, or the caller waited its whole queueing time."""


class EngineTimeout(EngineError):
    """The engine made no progress within its deadline."""


class EngineUnavailable(EngineError):
    """The engine isn't there: not installed, no model, not reachable, or given up on."""


class EngineFailed(EngineError):
    """The engine was there and raised."""


class Cancelled(EngineError):
    """The caller's cancel token was set before the work was done. Not a failure."""


class CannotSee(EngineError):
    """There are pictures in the conversation, and this model takes none: ask again without."""


# -- who asks ----------------------------------------------------------------------------------


class CancelToken:
    """A thread-safe, one-way switch: once cancelled, for ever cancelled.

    Engines look at `cancelled` between tokens and audio blocks, or register a callback.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def cancel(self) -> None:
        """Set the switch and run the callbacks, each once, on the calling thread."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Run `callback` at cancellation; at once if that has been."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if the switch is set."""
        if self._event.is_set():
            raise Cancelled("cancelled")


class Priority(IntEnum):
    """The order in which a lane serves what waits; lower goes first."""

    REPLY = 0
    PLAN = 1
    SPECULATION = 2


class Confirmation:
    """Whether what was asked for on a guess is wanted for certain. Of the event loop."""

    def __init__(self) -> None:
        self.given = False

    def give(self) -> None:
        self.given = True


@dataclass(frozen=True)
class Ticket:
    """Who asks an engine, how urgently, and whether the answer is still wanted.

    `waits` False: rather sent away at once (`EngineBusy`, or the next rung) than made to queue.
    `confirmation`: makes a reply of a speculation.
    """

    robot: str
    priority: Priority = Priority.REPLY
    waits: bool = True
    cancel: CancelToken = field(default_factory=CancelToken)
    confirmation: Confirmation = field(default_factory=Confirmation)

    @property
    def rank(self) -> Priority:
        """How urgent it is by now."""
        if self.priority is Priority.SPECULATION and self.confirmation.given:
            return Priority.REPLY
        return self.priority


# -- what is said ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToolSpec:
    """A tool that the robot offers. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class ToolCall:
    """A call that the model made. `arguments` is the text of a JSON object, valid JSON always.

    `call_id` is empty as it leaves an engine; the dialogue gives it one.
    """

    name: str
    arguments: str
    call_id: str = ""


@dataclass(frozen=True)
class Text:
    """A piece of what the model says: any number of characters, white space included."""

    text: str


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    `role` "tool" carries a result: `call_id` and `name` say of which call. `tool_calls` belong to
    role "assistant". `images` are JPEG or PNG files, of role "user" or, from a camera tool, "tool".
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    name: str = ""
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Emotion:
    """A mood: one of the thirteen names of `brain.persona.moods.EMOTIONS`, `intensity` 0..1."""

    name: str
    intensity: float = 0.5


@dataclass(frozen=True)
class Transcript:
    """What was heard. `text` is empty when nothing was said (non-speech is gated away).

    `no_speech_prob` (0..1) and `avg_logprob` (<= 0, natural log a token) are the engine's own;
    NaN where it has none.
    """

    text: str
    language: str = "en"
    no_speech_prob: float = float("nan")
    avg_logprob: float = float("nan")


Device = Literal["cpu", "gpu", "remote", ""]
"""of an engine: "remote" is a server outside this process, which knows its own."""


@dataclass(frozen=True)
class EngineInfo:
    """What an engine is: `name` as in the settings ("whisper", "llamacpp"), `model` for people.

    `device` is where it really computes, whatever was asked for; "" where it doesn't say.
    `calls_per_reply`, of a voice to which a call is dear: the most in which a reply is said, the
    last of them with all that is left of it. None: a call a clause. `sees`: a language model takes
    pictures; None where that isn't known before it is tried. `lacks`: a sentence on what
    was asked for and it goes without (a model without its eyes); empty if nothing is.
    """

    name: str
    model: str
    device: Device = ""
    calls_per_reply: int | None = None
    sees: bool | None = False
    lacks: str = ""


# -- the ports ---------------------------------------------------------------------------------


class VoiceStream(Protocol):
    """The detector's memory of one microphone; opaque."""

    def reset(self) -> None:
        """Forget all that was heard."""


class VoiceDetector(Protocol):
    """Tells speech from everything else, a frame at a time. Cheap enough to run inline."""

    @property
    def info(self) -> EngineInfo: ...

    @property
    def frame_samples(self) -> int:
        """Samples a frame at 16 kHz (512 for Silero: 32 ms)."""

    def new_stream(self) -> VoiceStream: ...

    def probabilities(
        self, streams: Sequence[VoiceStream], frames: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Speech probability (0..1) of the next frame of each stream.

        `frames` float32 [n, frame_samples] in -1..1 at 16 kHz; returns float32 [n].
        The streams are advanced. Raises `EngineFailed`.
        """


class Transcriber(Protocol):
    """Speech to text."""

    @property
    def info(self) -> EngineInfo: ...

    async def transcribe(
        self, samples: NDArray[np.float32], *, language: str | None, ticket: Ticket
    ) -> Transcript:
        """Hear `samples`, float32 [n] in -1..1 at 16 kHz. `language` ISO 639-1, None to detect.

        Raises `Cancelled`, `EngineBusy`, `EngineTimeout`, `EngineUnavailable`, `EngineFailed`.
        """

    async def close(self) -> None:
        """Free the engine's memory and threads. Closing twice is the same as once."""


class EndOfTurn(Protocol):
    """Tells by the sound whether somebody who has fallen silent has ended."""

    @property
    def info(self) -> EngineInfo: ...

    async def probability(self, samples: NDArray[np.float32], *, ticket: Ticket) -> float:
        """That the turn is over, 0..1, after `samples`: float32 [n] in -1..1 at 16 kHz, all of the
        turn so far with the silence at its end.

        Raises as `Transcriber.transcribe` does.
        """

    async def close(self) -> None:
        """As `Transcriber.close`."""


class LanguageModel(Protocol):
    """Messages in, text and tool calls out."""

    @property
    def info(self) -> EngineInfo: ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        ticket: Ticket,
    ) -> AsyncGenerator[Text | ToolCall, None]:
        """Answer `messages`. Text comes as it is made; a tool call comes whole, and only for a
        tool in `tools`, with arguments that are a JSON object.

        `schema`: the answer is one JSON value that fits this JSON Schema (then no tools).
        `temperature` and `max_tokens`: None is the engine's setting. Thoughts of a thinking model
        never come out. Closing the iterator cancels. Raises as `Transcriber.transcribe` does, and,
        before anything else comes, `CannotSee` where `messages` have images and it takes none.
        """

    async def prefill(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), ticket: Ticket
    ) -> None:
        """Get ready for a question that will come after `messages`, with `tools` on offer: what of
        its prompt is known by now is computed, or was, when this returns.

        Nobody needs it, so it goes after all else, and gives way. An engine that can't, or to which
        it is dear, does nothing. Raises as `stream` does.
        """

    async def close(self) -> None:
        """As `Transcriber.close`."""


class Synthesizer(Protocol):
    """Text to speech."""

    @property
    def info(self) -> EngineInfo: ...

    @property
    def voices(self) -> tuple[str, ...]:
        """Names that `stream` takes as `voice`; the first is the default."""

    def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """Say `text`, in blocks of at most about 100 ms. Unspeakable text gives no block at all.

        An unknown voice is the default one. Closing the iterator cancels. Raises as
        `Transcriber.transcribe` does.
        """

    async def close(self) -> None:
        """As `Transcriber.close`."""
