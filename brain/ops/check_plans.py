"""Judges plans by what they mean. Pure; the checks are data, described in evaluation/README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Action = Mapping[str, Any]
_BEARING_TOLERANCE_DEG = 1.0


def faults(checks: Sequence[Mapping[str, Any]], actions: Sequence[Action]) -> list[str]:
    """What of `checks` does not hold for `actions`, as text; empty if the plan makes sense.

    Raises `ValueError` for a check that it doesn't know.
    """
    return [f"{name} {value}" for check in checks for name, value in check.items()
            if not _holds(name, value, actions)]  # fmt: skip


def _holds(name: str, value: Any, actions: Sequence[Action]) -> bool:
    said = [str(a.get("text", "")) for a in actions if a["action"] == "say"]
    match name:
        case "look_at":
            return any(
                a["action"] == "gesture" and a["name"] == "look_at"
                and abs(float(a.get("params", {}).get("bearing", 1e9)) - value)
                <= _BEARING_TOLERANCE_DEG
                for a in actions
            )  # fmt: skip
        case "emote" | "skill" | "gesture":
            return any(a["action"] == name and a["name"] in value for a in actions)
        case "not_emote" | "not_skill" | "not_gesture":
            return not _holds(name.removeprefix("not_"), value, actions)
        case "says":
            return any(re.search(value, text, re.IGNORECASE) for text in said)
        case "not_says":
            return not _holds("says", value, actions)
        case "quiet":
            return not said
        case "at_most":
            return len(actions) <= int(value)
        case "any_of":
            return any(not faults([check], actions) for check in value)
    raise ValueError(f"unknown check of a plan: {name}")
