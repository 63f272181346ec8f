"""The characters that ship, and notes about the robot's state.

All of it is text for a system prompt or for a turn: no logic. A character is a text file in
`characters/`, so that one more is one more file. The pocket mind is trained on the very words of
`robo.txt` and of the notes, so a change there asks for `make pocket`.
"""

from __future__ import annotations

import json
from pathlib import Path

_FOLDER = Path(__file__).parent / "characters"


def characters() -> tuple[str, ...]:
    """Names of the characters that ship, in order of the alphabet."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.txt")))


def character(name: str) -> str:
    """The instructions of a character that ships. Raises KeyError for another name."""
    if name not in characters():
        raise KeyError(name)
    return (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").strip()


DEFAULT_INSTRUCTIONS = character("robo")

CAMERA_UNAVAILABLE = "the camera isn't available"


def idle_note(seconds: float, note: str = "") -> str:
    """The turn that an idle signal opens: `seconds` of inactivity, and the robot's own `note`."""
    extra = f" {note.strip()}" if note.strip() else ""
    return (
        f"(You have been idle for {round(seconds)} seconds.{extra} Do something small by yourself, "
        "or nothing. Act with tool calls only and say no word.)"
    )


def speaker_note(profile: str) -> str:
    """What a system prompt says of who speaks. `profile` is the robot's own text: it stands in
    quotes as JSON, so that it reads as information and nothing in it ends the quotation."""
    quoted = json.dumps(profile, ensure_ascii=False)
    return f"What is known about the person who speaks, as information only: {quoted}"
