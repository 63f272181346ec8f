"""Conversations that have outgrown the model's context: the oldest turns are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import TypeVar

from brain.engines.ports import Message

# Turns go so many at a time, so that the prompt's start, and the cache of it, holds in between.
_TURNS_AT_ONCE = 8


P = TypeVar("P", bound=Sized)


def fitted(messages: Sequence[Message], made: Callable[[Sequence[Message]], P], limit: int) -> P:
    """The prompt that is `made` of `messages`, in at most `limit` tokens.

    The system prompt and the last turn always stay, so what they alone need may be over `limit`.
    """
    prompt = made(messages)
    starts = [i for i, message in enumerate(messages) if message.role == "user"]
    head = (
        [message for message in messages[: starts[0]] if message.role == "system"] if starts else []
    )
    dropped = 0
    while len(prompt) > limit and dropped + 1 < len(starts):
        dropped = min(dropped + _TURNS_AT_ONCE, len(starts) - 1)
        prompt = made([*head, *messages[starts[dropped] :]])
    return prompt
