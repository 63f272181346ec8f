"""What a supervisor may say on `/converse`, as pydantic models, and how it is read."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from brain.api import wire_in

log = logging.getLogger(__name__)

_MAX_PROFILE = 2_000
_SECOND = 16_000


class _Message(BaseModel):
    # Fields that a newer supervisor sends are ignored.
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class AudioIn(_Message):
    """Microphone sound: base64 of 16-bit little-endian mono PCM at 16 kHz, of any length."""

    type: Literal["audio"]
    data: str


class EndUtteranceIn(_Message):
    """The turn ends now."""

    type: Literal["end_utterance"]


class CancelIn(_Message):
    """Stop what is under way: the reply, or the unfinished utterance."""

    type: Literal["cancel"]


class ProfileIn(_Message):
    """What is known of who speaks: text, or any JSON; null or "" forgets it."""

    type: Literal["profile"]
    profile: Any = None

    @field_validator("profile")
    @classmethod
    def _is_short(cls, value: Any) -> Any:
        if len(_as_text(value)) > _MAX_PROFILE:
            raise ValueError(f"at most {_MAX_PROFILE} characters")
        return value

    @property
    def text(self) -> str:
        """The profile as a model reads it."""
        return _as_text(self.profile)


class TextIn(wire_in.TextIn):
    """A turn typed rather than spoken."""


class PingIn(wire_in.PingIn):
    """Answered by `pong`, though WebSocket pings do better."""


SupervisorMessage = AudioIn | EndUtteranceIn | TextIn | CancelIn | ProfileIn | PingIn
_MESSAGE: TypeAdapter[SupervisorMessage] = TypeAdapter(
    Annotated[SupervisorMessage, Field(discriminator="type")]
)
_TYPES = ("audio", "end_utterance", "text", "cancel", "profile", "ping")


def parse(frame: str) -> SupervisorMessage | None:
    """The message in a text frame; None for an unknown type, which is ignored.

    Raises `wire_in.WireError` `bad_json` or `bad_audio`.
    """
    message = wire_in.json_object(frame)
    kind = message["type"]
    if kind not in _TYPES:
        log.debug("an unknown message type on /converse: %r", kind[:40])
        return None
    try:
        return _MESSAGE.validate_python(message)
    except ValidationError as error:
        code = "bad_audio" if kind == "audio" else "bad_json"
        raise wire_in.WireError(code, f"{kind}: {wire_in.first_fault(error)}", kind) from None


def sound(data: str | bytes) -> Iterator[NDArray[np.int16]]:
    """int16 [n] at 16 kHz, at most 1 s a piece; nothing for an empty chunk, of which there were
    some from supervisors. Raises `wire_in.WireError` `bad_audio`."""
    if not data:
        return
    samples = wire_in.sound(data)
    for start in range(0, len(samples), _SECOND):
        yield samples[start : start + _SECOND]


def _as_text(profile: Any) -> str:
    if profile is None:
        return ""
    return profile if isinstance(profile, str) else json.dumps(profile, ensure_ascii=False)
