"""Pictures of tools, for wires on which only the user has pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from brain.engines.ports import Message


def apart(messages: Sequence[Message]) -> list[Message]:
    """`messages` with the pictures of tools' results in a message of the user's, which follows the
    results: nothing may stand between a call's and another's."""
    result: list[Message] = []
    names: list[str] = []
    pictures: list[bytes] = []
    for message in messages:
        if message.role != "tool" and pictures:
            result.append(_shown(names, pictures))
            names, pictures = [], []
        if message.role != "tool" or not message.images:
            result.append(message)
            continue
        names.append(message.name or "the tool")
        pictures.extend(message.images)
        result.append(replace(message, images=()))
    if pictures:
        result.append(_shown(names, pictures))
    return result


def _shown(names: Sequence[str], pictures: Sequence[bytes]) -> Message:
    told = f"(The picture of {', '.join(dict.fromkeys(names))}.)"
    return Message("user", told, images=tuple(pictures))
