"""What the app shows of a conversation: its roles and shapes, as plain dicts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Shown = dict[str, Any]

# Errors of one turn that a person need not read about: the brain says aloud what matters.
QUIET_ERRORS = frozenset(
    {"not_understood", "audio_overflow", "bad_audio", "unknown_call_id", "unknown_type"}
)


def heard(words: str) -> Shown:
    """What the user said."""
    return {"role": "user", "content": words}


def being_heard(words: str) -> Shown:
    """What the user has said so far."""
    return {"role": "user_partial", "content": words}


def said(words: str) -> Shown:
    """What the robot said."""
    return {"role": "assistant", "content": words}


def went_wrong(sentence: str) -> Shown:
    """An error for people to read."""
    return said(f"[error] {sentence}")


def used(tool: str, output: Mapping[str, Any]) -> Shown:
    """A tool's result, which the app shows folded under a title."""
    return {
        "role": "assistant",
        "content": json.dumps(dict(output), ensure_ascii=False),
        "metadata": {"title": f"🛠️ Used tool {tool}", "status": "done"},
    }


def picture(image: object) -> Shown:
    """A camera picture, in whatever form the face shows one."""
    return {"role": "assistant", "content": image}
