"""What the brain says on `/converse`, one dataclass a message, and how they are read. Pure.

Fields that are unknown are ignored and types that are unknown become `Unknown`, so that a newer
brain does no harm. `turn_id` names the turn that a message belongs to, where the brain says so.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from robot_client.parsing import MessageError, as_float

RATE = 16_000
TurnId = int | str | None


@dataclass(frozen=True)
class Listening:
    """The brain is ready for the next turn: on connecting, and after each turn."""

    turn_id: TurnId = None


@dataclass(frozen=True)
class Transcription:
    """What was heard."""

    text: str
    turn_id: TurnId = None


@dataclass(frozen=True)
class Mood:
    """The face for the reply, before its sound; intensity from 0 to 1."""

    emotion: str
    intensity: float = 1.0
    turn_id: TurnId = None


@dataclass(frozen=True)
class Gestures:
    """Gestures that go with the reply, before its sound."""

    names: tuple[str, ...]
    turn_id: TurnId = None


@dataclass(frozen=True)
class AssistantText:
    """The reply in words."""

    text: str
    turn_id: TurnId = None


@dataclass(frozen=True)
class FirstAudio:
    """How long the brain took until the first sound of the reply."""

    first_audio_ms: float
    turn_id: TurnId = None


@dataclass(frozen=True)
class Speech:
    """Sound of the reply: `pcm` is signed 16-bit little-endian mono at `sample_rate` Hz."""

    pcm: bytes
    sample_rate: int = RATE
    chunk_index: int = 0
    turn_id: TurnId = None


@dataclass(frozen=True)
class Done:
    """The reply is over; `reason` is "completed", "cancelled", …, where the brain says so."""

    turn_id: TurnId = None
    reason: str = ""


@dataclass(frozen=True)
class ToolCall:
    """The brain wants a tool used."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    call_id: str = ""
    turn_id: TurnId = None


@dataclass(frozen=True)
class Trouble:
    """Something went wrong, such as "No audio received" or "llm_busy"; the talk goes on."""

    message: str
    turn_id: TurnId = None


@dataclass(frozen=True)
class Unknown:
    """A message of a type that this client doesn't know."""

    type: str
    fields: Mapping[str, Any]


Message = (
    Listening
    | Transcription
    | Mood
    | Gestures
    | AssistantText
    | FirstAudio
    | Speech
    | Done
    | ToolCall
    | Trouble
    | Unknown
)
Fields = Mapping[str, Any]


def parse(frame: str | bytes) -> Message:
    """One frame as a message.

    Raises `MessageError` for what isn't a JSON object with a `type` and all that it needs.
    """
    if isinstance(frame, bytes):
        raise MessageError("a binary frame; /converse has none")
    try:
        fields = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise MessageError("not a JSON object with a 'type'")
    parser = _PARSERS.get(fields["type"])
    if parser is None:
        return Unknown(fields["type"], {k: v for k, v in fields.items() if k != "type"})
    return parser(fields)


def _turn(f: Fields) -> TurnId:
    turn = f.get("turn_id")
    return turn if isinstance(turn, (int, str)) and not isinstance(turn, bool) else None


def _text(f: Fields, name: str) -> str:
    value = f.get(name)
    if not isinstance(value, str):
        raise MessageError(f"{f['type']!r}: {name!r} is not text: {value!r}")
    return value


def _number(f: Fields, name: str, default: float | None = None) -> float:
    value = f.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MessageError(f"{f['type']!r}: {name!r} is not a number: {value!r}")
    return as_float(value)


def _gestures(f: Fields) -> Gestures:
    names = f.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MessageError(f"'gestures': 'names' is not a list of names: {names!r}")
    return Gestures(tuple(names), _turn(f))


def _speech(f: Fields) -> Speech:
    try:
        pcm = base64.b64decode(_text(f, "data"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError(f"'audio': the data isn't base64: {error}") from error
    if len(pcm) % 2:
        raise MessageError(f"'audio': {len(pcm)} bytes: an odd number, not 16-bit samples")
    rate = int(_number(f, "sample_rate", RATE))
    if rate <= 0:
        raise MessageError(f"'audio': a sample rate of {rate} Hz")
    return Speech(pcm, rate, int(_number(f, "chunk_index", 0)), _turn(f))


def _tool_call(f: Fields) -> ToolCall:
    args = f.get("args", {})
    if isinstance(args, str):  # as on /ws: the text of an object
        try:
            args = json.loads(args)
        except (ValueError, RecursionError) as error:
            raise MessageError(f"'tool_call': 'args' is not JSON: {error}") from error
    if not isinstance(args, dict):
        raise MessageError(f"'tool_call': 'args' is not an object: {args!r}")
    return ToolCall(_text(f, "name"), args, str(f.get("call_id", "")), _turn(f))


_PARSERS: Mapping[str, Callable[[Fields], Message]] = MappingProxyType(
    {
        "listening": lambda f: Listening(_turn(f)),
        "transcription": lambda f: Transcription(_text(f, "text"), _turn(f)),
        "emotion": lambda f: Mood(_text(f, "emotion"), _number(f, "intensity", 1.0), _turn(f)),
        "gestures": _gestures,
        "assistant_text": lambda f: AssistantText(_text(f, "text"), _turn(f)),
        "first_audio": lambda f: FirstAudio(_number(f, "first_audio_ms"), _turn(f)),
        "audio": _speech,
        "done": lambda f: Done(_turn(f), str(f.get("reason", ""))),
        "tool_call": _tool_call,
        "error": lambda f: Trouble(_text(f, "message"), _turn(f)),
    }
)
