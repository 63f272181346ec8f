"""Frames from the brain -> messages. Pure: no socket, no clock.

Fields that are unknown are ignored and types that are unknown become `Unknown`, so that a newer
brain does no harm.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

from robot_client.messages import (
    DEFAULT_SAMPLE_RATE,
    PROTOCOL,
    REASONS,
    AttentionTurned,
    AudioDelta,
    Emotion,
    EngineName,
    ErrorMessage,
    Filler,
    Message,
    Pong,
    Ready,
    ReplyDone,
    ReplyStarted,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    TranscriptAssistant,
    TranscriptAssistantDelta,
    TranscriptUser,
    TranscriptUserPartial,
    Unattended,
    Unknown,
)

# Hz; beyond them isn't a sample rate but a mistake, of which a resampler would make gigabytes.
LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000
# Half of a character, as JSON can spell it, is none that could be printed, kept or sent on.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class MessageError(ValueError):
    """A frame from the brain that isn't protocol 1; the message says what is wrong with it."""


Fields = Mapping[str, Any]
T = TypeVar("T")


def _get(fields: Fields, name: str, kind: type[T], default: T | None = None) -> T:
    """The field, of its kind. An absent or null one takes its default, if it has one."""
    value = fields.get(name)
    if value is None:
        if default is None:
            raise MessageError(f"{fields.get('type')!r} has no {name!r}")
        return default
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return cast("T", as_float(value))
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MessageError(f"{fields.get('type')!r}: {name!r} is not a {kind.__name__}: {value!r}")
    return value


def as_float(number: float) -> float:
    """As a float; infinity if it is too large for one, as JSON's whole numbers may be."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _engine(value: object) -> EngineName:
    if not isinstance(value, Mapping):
        return EngineName(name=str(value))
    return EngineName(
        name=str(value.get("name") or ""),
        model=str(value.get("model") or ""),
        degraded=bool(value.get("degraded", False)),
    )


def _ready(f: Fields) -> Ready:
    return Ready(
        protocol=_get(f, "protocol", int, PROTOCOL),
        session_id=_get(f, "session_id", str, ""),
        robot_id=_get(f, "robot_id", str, ""),
        resumed=_get(f, "resumed", bool, False),
        profile=_get(f, "profile", str, ""),
        voices=tuple(str(v) for v in _get(f, "voices", list, [])),
        input_sample_rate=_get(f, "input_sample_rate", int, DEFAULT_SAMPLE_RATE),
        output_sample_rate=_rate(_get(f, "output_sample_rate", int, DEFAULT_SAMPLE_RATE)),
        engines={k: _engine(v) for k, v in _get(f, "engines", dict, {}).items()},
    )


def _audio(f: Fields) -> AudioDelta:
    try:
        pcm = base64.b64decode(_get(f, "data", str), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError(f"'audio_delta': the data isn't base64: {error}") from error
    return AudioDelta(
        pcm=_whole_samples(pcm),
        sample_rate=_rate(_get(f, "sample_rate", int, DEFAULT_SAMPLE_RATE)),
        reply_id=_get(f, "reply_id", int, 0),
        seq=_get(f, "seq", int, 0),
    )


def _whole_samples(pcm: bytes) -> bytes:
    if len(pcm) % 2:
        raise MessageError(f"{len(pcm)} bytes of sound: an odd number, not 16-bit samples")
    return pcm


def _rate(rate: int) -> int:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise MessageError(f"a sample rate of {rate} Hz")
    return rate


def _reply_done(f: Fields) -> ReplyDone:
    reason = _get(f, "reason", str)
    if reason not in REASONS:
        raise MessageError(f"'reply_done': unknown reason {reason!r}")
    timings = _get(f, "timings_ms", dict, {})
    numbers = {k: as_float(v) for k, v in timings.items() if isinstance(v, (int, float))}
    return ReplyDone(_get(f, "reply_id", int), reason, numbers)


def _session(f: Fields) -> SessionUpdated:
    inner = f.get("session")
    fields = inner if isinstance(inner, Mapping) else f
    return SessionUpdated({k: v for k, v in fields.items() if k != "type"})


_PARSERS: Mapping[str, Callable[[Fields], Message]] = MappingProxyType(
    {
        "ready": _ready,
        "session_updated": _session,
        "speech_started": lambda f: SpeechStarted(_get(f, "turn", int, 0)),
        "speech_stopped": lambda f: SpeechStopped(_get(f, "turn", int, 0)),
        "transcript_user_partial": lambda f: TranscriptUserPartial(
            _get(f, "text", str), _get(f, "turn", int, 0)
        ),
        "transcript_user": lambda f: TranscriptUser(_get(f, "text", str), _get(f, "turn", int, 0)),
        "unattended": lambda f: Unattended(_get(f, "turn", int, 0)),
        "attention": lambda f: AttentionTurned(_get(f, "on", bool)),
        "reply_started": lambda f: ReplyStarted(_get(f, "reply_id", int), _get(f, "turn", int, 0)),
        "audio_delta": _audio,
        "filler": lambda f: Filler(_get(f, "text", str), _get(f, "reply_id", int, 0)),
        "transcript_assistant_delta": lambda f: TranscriptAssistantDelta(
            _get(f, "text", str), _get(f, "reply_id", int, 0)
        ),
        "transcript_assistant": lambda f: TranscriptAssistant(
            _get(f, "text", str), _get(f, "reply_id", int, 0)
        ),
        "tool_call": lambda f: ToolCall(
            _get(f, "name", str),
            _get(f, "args", str, "{}"),
            _get(f, "call_id", str, ""),
            _get(f, "reply_id", int, 0),
        ),
        "emotion": lambda f: Emotion(
            _get(f, "name", str),
            _get(f, "intensity", float, 1.0),
            tuple(str(name) for name in _get(f, "gestures", list, [])),
            _get(f, "reply_id", int, 0),
        ),
        "reply_done": _reply_done,
        "error": lambda f: ErrorMessage(
            _get(f, "code", str), _get(f, "message", str, ""), _get(f, "fatal", bool, False)
        ),
        "pong": lambda f: Pong(f.get("t")),
    }
)


def parse(frame: str) -> Message:
    """One text frame as a message.

    Raises `MessageError` for what isn't a JSON object with a `type` and all that it needs.
    """
    try:
        fields = json.loads(frame)
        if _HALF.search(frame):
            fields = json.loads(json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise MessageError("not a JSON object with a 'type'")
    parser = _PARSERS.get(fields["type"])
    if parser is None:
        return Unknown(fields["type"], {k: v for k, v in fields.items() if k != "type"})
    return parser(fields)


class Decoder:
    """Turns frames into messages, giving binary sound the reply that it belongs to.

    A binary frame carries nothing but PCM; it is of the reply that started last, at the rate
    that the session has.
    """

    def __init__(self) -> None:
        self._rate = DEFAULT_SAMPLE_RATE
        self._reply_id = 0
        self._seq = 0

    def decode(self, frame: str | bytes) -> Message:
        """The message in a frame. Raises `MessageError`."""
        if isinstance(frame, bytes):
            delta = AudioDelta(_whole_samples(frame), self._rate, self._reply_id, self._seq)
            self._seq += 1
            return delta
        message = parse(frame)
        if isinstance(message, Ready):
            self._rate = message.output_sample_rate
        elif isinstance(message, SessionUpdated):
            rate = message.session.get("output_sample_rate")
            if isinstance(rate, int) and LOWEST_RATE <= rate <= HIGHEST_RATE:
                self._rate = rate
        elif isinstance(message, ReplyStarted):
            self._reply_id, self._seq = message.reply_id, 0
        return message
