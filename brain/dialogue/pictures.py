"""Pictures in a conversation: how many there may be, and what is left of those that had their
turn, or that nobody can see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from brain.engines.ports import Message

GONE = "(There was a picture here.)"
_UNSEEN = "(A picture came with this, but you cannot see pictures.)"
_BLIND = (
    "The robot has sent a camera picture, but you cannot see pictures: say so if you are asked "
    "about it."
)

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class PictureLimits:
    """How many pictures a conversation holds: of the turn under way, and of `earlier` turns."""

    turn: int = 2
    earlier: int = 0


def kept(messages: Sequence[Message], limits: PictureLimits) -> list[Message]:
    """`messages` with as many pictures as may stay, the newest; a note is left of the others."""
    result = list(messages)
    room, earlier = limits.turn, False
    for index in reversed(range(len(result))):
        message = result[index]
        stay = message.images[max(0, len(message.images) - room) :]
        if len(stay) < len(message.images):
            result[index] = _without(message, stay, GONE)
        room -= len(stay)
        if message.role == "user" and not earlier:
            room, earlier = limits.earlier, True
    return result


def pictured(messages: Sequence[Message]) -> bool:
    """Whether there are pictures in the conversation."""
    return any(message.images for message in messages)


def unseen(messages: Sequence[Message]) -> list[Message]:
    """The conversation for a model that doesn't see: it is told that there were pictures.

    Of the user's in its instructions: a small model takes what is in the user's words for what the
    user asks.
    """
    told = [
        _without(message, (), _UNSEEN) if message.images and message.role == "tool" else message
        for message in messages
    ]
    if not pictured(told):
        return told
    first = told[0] if told[0].role == "system" else Message("system", "")
    blind = replace(first, content=f"{first.content} {_BLIND}".lstrip())
    rest = told[1:] if told[0].role == "system" else told
    return [blind, *(replace(message, images=()) for message in rest)]


def _without(message: M, images: tuple[bytes, ...], note: str) -> M:
    """`message` with `images` alone; that there were more is noted, once."""
    content = message.content
    if not content.endswith(note):
        content = f"{content}\n{note}" if content else note
    return replace(message, images=images, content=content)
