"""What the robot says to the brain, built as frames. Pure: no socket, no clock."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from robot_client.messages import DEFAULT_SAMPLE_RATE, SAMPLE_RATES

MAX_MESSAGE_BYTES = 1 << 20  # the brain closes with 4413 above it


@dataclass(frozen=True)
class ToolSpec:
    """A tool that the robot offers; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class TurnDetection:
    """When a turn ends: after `silence_ms` of no speech; `threshold` is the detector's, 0 to 1."""

    silence_ms: int | None = None
    threshold: float | None = None
    interrupt: bool = True


@dataclass(frozen=True)
class Session:
    """What the robot wants of its session. None leaves a field out: the brain keeps what it has.

    `turn_detection`: None keeps the brain's, "push_to_talk" turns it off. Rates in Hz.
    `wake_phrases`: who says one is answered (none: everybody is). `muted`: the brain doesn't listen
    to the microphone. `quiet`: short answers and nothing unasked, whatever the hour.
    """

    input_sample_rate: int | None = None
    output_sample_rate: int | None = None
    audio: Literal["base64", "binary"] | None = None
    instructions: str | None = None
    voice: str | None = None
    language: str | None = None
    tools: Sequence[ToolSpec] | None = None
    turn_detection: TurnDetection | Literal["push_to_talk"] | None = None
    playback_marks: bool | None = None
    echo_cancellation: bool | None = None
    wake_phrases: Sequence[str] | None = None
    muted: bool | None = None
    quiet: bool | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for a rate that the protocol doesn't have."""
        for rate in (self.input_sample_rate, self.output_sample_rate):
            if rate is not None and rate not in SAMPLE_RATES:
                raise ValueError(f"{rate} Hz isn't one of the wire's rates, {SAMPLE_RATES}")

    def merged(self, changes: Session) -> Session:
        """This session with every change that isn't None."""
        given = {
            field.name: value
            for field in dataclasses.fields(changes)
            if (value := getattr(changes, field.name)) is not None
        }
        return dataclasses.replace(self, **given)

    @property
    def input_rate(self) -> int:
        """The rate of the microphone's sound on the wire, Hz."""
        return self.input_sample_rate or DEFAULT_SAMPLE_RATE

    @property
    def output_rate(self) -> int:
        """The rate of the reply's sound on the wire, Hz."""
        return self.output_sample_rate or DEFAULT_SAMPLE_RATE


def _frame(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False, allow_nan=False)


def _turn_detection(value: TurnDetection | str) -> dict[str, object] | None:
    if not isinstance(value, TurnDetection):
        return None
    fields: dict[str, object] = {"type": "server_vad", "interrupt": value.interrupt}
    if value.silence_ms is not None:
        fields["silence_ms"] = value.silence_ms
    if value.threshold is not None:
        fields["threshold"] = value.threshold
    return fields


def session(wanted: Session) -> str:
    """Set up or change the session."""
    plain = ("input_sample_rate", "output_sample_rate", "audio", "instructions", "voice",
             "language", "playback_marks", "echo_cancellation", "muted", "quiet")  # fmt: skip
    fields: dict[str, object] = {
        name: value for name in plain if (value := getattr(wanted, name)) is not None
    }
    if wanted.wake_phrases is not None:
        fields["wake_phrases"] = list(wanted.wake_phrases)
    if wanted.tools is not None:
        fields["tools"] = [
            {"name": t.name, "description": t.description, "parameters": dict(t.parameters)}
            for t in wanted.tools
        ]
    if wanted.turn_detection is not None:
        fields["turn_detection"] = _turn_detection(wanted.turn_detection)
    return _frame("session", **fields)


def audio(pcm: bytes) -> str:
    """Microphone sound, 16-bit little-endian mono, as base64 in JSON."""
    return _frame("audio", data=base64.b64encode(pcm).decode("ascii"))


def end_utterance() -> str:
    """Push-to-talk: the turn ends now."""
    return _frame("end_utterance")


def clear() -> str:
    """Forget the unfinished utterance."""
    return _frame("clear")


def cancel() -> str:
    """Stop the current reply at once."""
    return _frame("cancel")


def mute() -> str:
    """The microphone isn't to be listened to."""
    return _frame("mute")


def unmute() -> str:
    """The microphone is to be listened to again."""
    return _frame("unmute")


def text(words: str) -> str:
    """A turn typed rather than spoken."""
    return _frame("text", text=words)


def say(words: str) -> str:
    """Speak this as it stands, without the language model."""
    return _frame("say", text=words)


JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]


def tool_result(
    call_id: str, output: JSON, *, reply: bool = True, interrupted: bool = False
) -> str:
    """The result of a tool call. Raises `ValueError`/`TypeError` if `output` isn't JSON."""
    return _frame(
        "tool_result", call_id=call_id, output=output, reply=reply, interrupted=interrupted
    )


def image(picture: bytes | str, call_id: str | None = None) -> str:
    """A camera frame: JPEG or PNG bytes, or the base64 of them."""
    data = picture if isinstance(picture, str) else base64.b64encode(picture).decode("ascii")
    return _frame("image", data=data, **({} if call_id is None else {"call_id": call_id}))


def idle(seconds: float, note: str = "") -> str:
    """The robot has been idle for so long; the brain may answer with tool calls."""
    return _frame("idle", seconds=seconds, note=note)


def played(reply_id: int, ms: int) -> str:
    """Playback mark: this much of the reply has been handed to the speaker."""
    return _frame("played", reply_id=reply_id, ms=ms)


def ping(t: float) -> str:
    """Answered by `pong` with the same `t`."""
    return _frame("ping", t=t)
