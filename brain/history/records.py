"""A robot's messages as JSON, and back. A tool's result and a mood are kept; of pictures, that
there were some."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from brain.dialogue.history import Reply, Said
from brain.dialogue.pictures import PictureLimits, kept
from brain.engines.ports import Message, ToolCall

_NO_PICTURES = PictureLimits(turn=0)


class BadRecord(ValueError):
    """No conversation of ours. The message tells nothing of what was in it."""


def encode(messages: Iterable[Message]) -> str:
    """One line of JSON, in ASCII: half a surrogate pair, which a robot may send, is no UTF-8."""
    return json.dumps([_record(message) for message in kept(list(messages), _NO_PICTURES)])


def decode(text: str) -> tuple[Message, ...]:
    """What `encode` was given. Raises `BadRecord` for anything else."""
    try:
        records = json.loads(text)
        if not isinstance(records, list):
            raise TypeError
        return tuple(_message(record) for record in records)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadRecord("it isn't a conversation as this brain writes them") from None


def _record(message: Message) -> dict[str, Any]:
    record: dict[str, Any] = {"role": message.role, "text": message.content}
    if isinstance(message, Said):
        record["turn"] = message.turn
    if isinstance(message, Reply) and message.tags:
        record["tags"] = message.tags
    if message.tool_calls:
        record["calls"] = [[call.call_id, call.name, call.arguments] for call in message.tool_calls]
    if message.role == "tool":
        record |= {"call_id": message.call_id, "name": message.name}
    return record


def _message(record: dict[str, Any]) -> Message:
    role, text = record["role"], _text(record["text"])
    if role == "user":
        return Said("user", text, turn=int(record["turn"]))
    if role == "assistant":
        calls = tuple(
            ToolCall(_text(name), _text(arguments), _text(call_id))
            for call_id, name, arguments in record.get("calls", [])
        )
        return Reply("assistant", text, tool_calls=calls, tags=_text(record.get("tags", "")))
    if role == "tool":
        name, call_id = _text(record["name"]), _text(record["call_id"])
        return Message("tool", text, call_id=call_id, name=name)
    raise ValueError


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
