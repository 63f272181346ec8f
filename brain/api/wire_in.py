"""What a robot may say on `/ws` (protocol 1), as pydantic models, and how it is read."""

from __future__ import annotations

import binascii
import difflib
import json
from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import jsonschema_rs
import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from brain.audio.pcm import from_bytes
from brain.dialogue.wake import MAX_LETTERS, MAX_PHRASES
from brain.engines.ports import ToolSpec

SampleRate = Literal[8000, 16000, 22050, 24000, 48000]
MAX_MESSAGE_BYTES = 1 << 20
_MAX_TEXT = 4_000
_MAX_INSTRUCTIONS = 32_000
_MAX_TOOLS = 64
_MAX_PING = 1_000
_MAX_CALL_ID = 200
_MAX_DEPTH = 64
_PLAIN_BYTES = 32_000
_PLAIN_LETTERS = (_PLAIN_BYTES + 2) // 3 * 4
# As most robots write it: Python's JSON, and JavaScript's.
_PLAIN_AUDIO = ('{"type": "audio", "data": "', '{"type":"audio","data":"')
_MAX_NODES = 20_000


class WireError(Exception):
    """A message that can't be taken; the session goes on. `code` is stable, snake_case.

    `kind`: the message's type, "" where there is none.
    """

    def __init__(self, code: str, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


class _Message(BaseModel):
    # Fields that a newer robot sends are ignored: the protocol grows.
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class AudioIn(_Message):
    """Microphone sound: base64 of 16-bit little-endian mono PCM, 1 sample to 1 s."""

    type: Literal["audio"]
    data: str


class Tool(_Message):
    """A tool that the robot offers; `parameters` is a JSON Schema of type object."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    description: str = Field("", max_length=4_000)
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})

    @field_validator("parameters")
    @classmethod
    def _is_a_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            jsonschema_rs.meta.validate(value)
        except jsonschema_rs.ValidationError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        if value.get("type", "object") != "object":
            raise ValueError("the JSON Schema must be of type object")
        return {"type": "object", **value}


def _distinct(tools: Sequence[Tool]) -> None:
    if len({tool.name for tool in tools}) < len(tools):
        raise ValueError("two tools have the same name")


def tool_list(listed: Any) -> list[Tool]:
    """The tools of a JSON list. Raises ValueError."""
    tools = TypeAdapter(list[Tool]).validate_python(listed)
    _distinct(tools)
    return tools


def _has_words(text: str) -> str:
    if not any(letter.isprintable() and not letter.isspace() for letter in text):
        raise ValueError("there is nothing in it but blanks")
    return text


def _can_be_said(phrase: str) -> str:
    if not any(letter.isalnum() for letter in phrase):
        raise ValueError("there is nothing in it that can be said")
    return phrase


WakePhrase = Annotated[
    str, AfterValidator(_can_be_said), Field(min_length=1, max_length=MAX_LETTERS)
]


class TurnDetectionIn(_Message):
    type: Literal["server_vad"] | None = None
    silence_ms: int | None = Field(None, ge=100, le=5_000)
    threshold: float | None = Field(None, ge=0.05, le=0.95)
    interrupt: bool | None = None


class SessionIn(_Message):
    """Set up or change the session. Absent keeps; null restores the default, except for
    `turn_detection`, where it is push-to-talk."""

    type: Literal["session"]
    input_sample_rate: SampleRate | None = None
    output_sample_rate: SampleRate | None = None
    audio: Literal["base64", "binary"] | None = None
    instructions: str | None = Field(None, max_length=_MAX_INSTRUCTIONS)
    voice: str | None = Field(None, max_length=200)
    language: str | None = Field(None, pattern=r"^[a-z]{2,3}$")
    tools: list[Tool] | None = Field(None, max_length=_MAX_TOOLS)
    turn_detection: TurnDetectionIn | None = None
    playback_marks: bool | None = None
    echo_cancellation: bool | None = None
    wake_phrases: list[WakePhrase] | None = Field(None, max_length=MAX_PHRASES)
    muted: bool | None = None
    quiet: bool | None = None

    @field_validator("tools")
    @classmethod
    def _names_differ(cls, value: list[Tool] | None) -> list[Tool] | None:
        if value is not None:
            _distinct(value)
        return value

    def changes(self) -> dict[str, Any]:
        """What is asked for, as `brain.dialogue.config.changed` takes it."""
        changes = {name: getattr(self, name) for name in self.model_fields_set if name != "type"}
        if self.tools is not None:
            changes["tools"] = tuple(
                ToolSpec(tool.name, tool.description, tool.parameters) for tool in self.tools
            )
        if self.wake_phrases is not None:
            changes["wake_phrases"] = tuple(self.wake_phrases)
        if self.turn_detection is not None:
            detection = self.turn_detection
            changes["turn_detection"] = {
                name: getattr(detection, name)
                for name in detection.model_fields_set
                if name != "type"
            }
        return changes


class EndUtteranceIn(_Message):
    """Push-to-talk: the turn ends now."""

    type: Literal["end_utterance"]


class ClearIn(_Message):
    """Forget the unfinished utterance."""

    type: Literal["clear"]


class CancelIn(_Message):
    """Stop the current reply at once."""

    type: Literal["cancel"]


class MuteIn(_Message):
    """The microphone isn't listened to from now on; answered by `session_updated`."""

    type: Literal["mute"]


class UnmuteIn(_Message):
    """The microphone is listened to again; answered by `session_updated`."""

    type: Literal["unmute"]


class TextIn(_Message):
    """A turn typed rather than spoken."""

    type: Literal["text"]
    text: Annotated[str, AfterValidator(_has_words)] = Field(min_length=1, max_length=_MAX_TEXT)


class SayIn(_Message):
    """Speak this as it stands, without the language model."""

    type: Literal["say"]
    text: str = Field(min_length=1, max_length=_MAX_TEXT)


class ToolResultIn(_Message):
    """The result of a tool call. `reply` false asks for no spoken follow-up; an `interrupted` one
    is recorded and not spoken about."""

    type: Literal["tool_result"]
    call_id: str
    output: Any
    reply: bool = True
    interrupted: bool = False

    @property
    def text(self) -> str:
        """The output as a model reads it."""
        if isinstance(self.output, str):
            return self.output
        return json.dumps(self.output, ensure_ascii=False)


class ImageIn(_Message):
    """A camera frame for the next turn, or for a tool call: base64 of a JPEG or PNG."""

    type: Literal["image"]
    data: str
    call_id: str | None = Field(None, max_length=_MAX_CALL_ID)


class IdleIn(_Message):
    """The robot has been idle: the brain may answer with tool calls only."""

    type: Literal["idle"]
    seconds: float = Field(0.0, ge=0)
    note: str = Field("", max_length=_MAX_TEXT)


class PlayedIn(_Message):
    """Playback mark: this much of the reply has come out of the loudspeaker."""

    type: Literal["played"]
    reply_id: int
    ms: float = Field(ge=0)


class PingIn(_Message):
    """Answered by `pong` with the same `t`."""

    type: Literal["ping"]
    t: Any = None

    @field_validator("t")
    @classmethod
    def _is_small(cls, value: Any) -> Any:
        if len(json.dumps(value)) > _MAX_PING:
            raise ValueError(f"at most {_MAX_PING} characters of JSON")
        return value


RobotMessage = (
    AudioIn
    | SessionIn
    | EndUtteranceIn
    | ClearIn
    | CancelIn
    | MuteIn
    | UnmuteIn
    | TextIn
    | SayIn
    | ToolResultIn
    | ImageIn
    | IdleIn
    | PlayedIn
    | PingIn
)
ROBOT_MESSAGE: TypeAdapter[RobotMessage] = TypeAdapter(
    Annotated[RobotMessage, Field(discriminator="type")]
)
_TYPES = (
    "audio", "session", "end_utterance", "clear", "cancel", "mute", "unmute", "text", "say",
    "tool_result", "image", "idle", "played", "ping",
)  # fmt: skip
_CODES = {"audio": "bad_audio", "session": "bad_session", "image": "bad_image"}


def parse(frame: str) -> RobotMessage | None:
    """The message in a text frame; None for an unknown type, which a newer robot may send.

    Raises `WireError`: `bad_json`, `unknown_type` (for what looks like a typo), `bad_audio`,
    `bad_image`, `bad_session`.
    """
    message = json_object(frame)
    kind = message["type"]
    if kind not in _TYPES:
        similar = difflib.get_close_matches(kind[:40].lower(), _TYPES, n=1, cutoff=0.75)
        if not similar:
            return None
        raise WireError(
            "unknown_type", f"no message type {kind[:40]!r}: did you mean {similar[0]}?"
        )
    try:
        return ROBOT_MESSAGE.validate_python(message)
    except ValidationError as error:
        code = _CODES.get(kind, "bad_json")
        raise WireError(code, f"{kind}: {first_fault(error)}", kind) from None


def json_object(frame: str) -> dict[str, Any]:
    """The JSON object in a text frame; it has a string `type` and can be worked with.

    Raises `WireError` `bad_json`.
    """
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        raise WireError(
            "bad_json", "a text frame is one JSON object; this one isn't JSON"
        ) from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise WireError("bad_json", "a message is a JSON object with a string field `type`")
    if _unwieldy(message) or ("\\ud" in frame.lower() and not _encodable(message)):
        told = "a message nests too deeply, is too complex, or isn't Unicode"
        raise WireError("bad_json", told, message["type"])
    return message


def sound(data: str | bytes) -> NDArray[np.int16]:
    """int16 [n] of an `audio` message's base64, or of a binary frame. Raises `WireError`."""
    try:
        raw = b64decode(data, validate=True) if isinstance(data, str) else data
    except (binascii.Error, ValueError):
        raise WireError("bad_audio", "audio: data must be base64 of 16-bit PCM") from None
    if not raw:
        raise WireError("bad_audio", "audio: a chunk has at least 1 sample")
    try:
        return from_bytes(raw)
    except ValueError as error:
        raise WireError("bad_audio", f"audio: {error}") from None


def plain_sound(frame: str | bytes) -> NDArray[np.int16] | None:
    """int16 [n], 32 kB at most, of a binary frame or of an `audio` message with nothing unusual
    about it; None for all else, and for what is wrong: `parse` and `sound` know what that is.

    What these would make of it is the same: base64 holds no quote and no backslash, so that what
    lies between the first and the last is the whole of the string.
    """
    data, most = frame, _PLAIN_BYTES
    if isinstance(frame, str):
        start = next((len(one) for one in _PLAIN_AUDIO if frame.startswith(one)), 0)
        if not start or not frame.endswith('"}'):
            return None
        data, most = frame[start:-2], _PLAIN_LETTERS
    if len(data) > most:
        return None
    try:
        return sound(data)
    except WireError:
        return None


def picture(data: str) -> bytes:
    """The file in an `image` message's base64. Raises `WireError`."""
    try:
        return b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        told = "image: data must be base64 of a JPEG or PNG"
        raise WireError("bad_image", told, "image") from None


def _unwieldy(message: Any) -> bool:
    """Whether it nests deeper, or has more parts, than what is done with it can take."""
    level, nodes = [message], 0
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
        nodes += len(below)
        if not below or nodes > _MAX_NODES:
            return nodes > _MAX_NODES
        level = below
    return True


def _encodable(message: Any) -> bool:
    """Whether it can be written as UTF-8: JSON may escape lone surrogates, which can't."""
    try:
        json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def first_fault(error: ValidationError) -> str:
    """The first thing wrong, in a line."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"][1:])
    return f"{where}: {problem['msg']}" if where else problem["msg"]
