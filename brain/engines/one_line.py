"""What others say (servers, libraries), fit for a message of ours."""

from __future__ import annotations

_MOST_CHARACTERS = 300


def one_line(text: str) -> str:
    """`text` on one line of at most 300 characters, with nothing that only a terminal reads."""
    # (What is far too long isn't even split.)
    line = " ".join(text[: 10 * _MOST_CHARACTERS].split())
    line = "".join(char if char.isprintable() else "\ufffd" for char in line)
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"
