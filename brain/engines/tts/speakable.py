"""Any text at all to text that can be read aloud, in pieces of bearable length. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_LONGEST = 400
"""Characters a piece. Bounds the work between two looks at the cancel token."""
_CLAUSE, _EARLY = 160, 20
"""A text longer than a clause of a conversation begins with a shorter piece, of at least so many
characters, so that its sound begins early, too."""

_MARKS = re.compile(
    r"^[ \t]*(?:#+|[-*+\u2022])[ \t]+|(?<!\s)[*`~]+|[*`~]+(?!\s)|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)",
    re.M,
)
_LINES = re.compile(r"\s*[\r\n\u2028\u2029]+\s*")
_BRACKETS = str.maketrans("[]{}<>|\\^", "         ")
_SILENT_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "So", "Sk"})
_KEPT = frozenset("\n\r\t°\u2028\u2029")
_BREAK = re.compile(
    r"[.!?;:,\u3002\uff01\uff1f\u3001\uff0c](?=\s|$)|(?<=[\u3002\uff01\uff1f\uff0c])"
)


def readable(text: str) -> str:
    """`text` without what a voice has no sound for: emoji, markup, control characters.

    Brackets become spaces (piper reads what stands in `[[...]]` as raw phonemes). Empty when no
    letter and no digit is left.
    """
    composed = unicodedata.normalize("NFC", text.encode("utf-8", "ignore").decode("utf-8"))
    sounding = "".join(
        c if c in _KEPT or unicodedata.category(c) not in _SILENT_CATEGORIES else " "
        for c in _MARKS.sub("", composed)
    ).translate(_BRACKETS)
    lines = [line.strip() for line in _LINES.split(sounding) if line.strip()]
    joined = " ".join(
        line if index == len(lines) - 1 or line[-1] in ".!?;:," else line + "."
        for index, line in enumerate(lines)
    )
    flat = " ".join(joined.split())
    return flat if _sounds(flat) else ""


def pieces(text: str, longest: int = _LONGEST) -> Iterator[str]:
    """Cut `text` into parts of at most `longest` characters, at punctuation or spaces if it can.

    A long text begins with a short part, if there is punctuation for it. Parts without a letter or
    a digit are left out. Raises ValueError if `longest` isn't positive.
    """
    if longest < 1:
        raise ValueError(f"longest must be positive, got {longest}")
    rest = text.strip()
    cut = _early(rest, longest) if len(rest) > _CLAUSE else 0
    while rest:
        if not cut:
            cut = len(rest) if len(rest) <= longest else _cut(rest[:longest])
        head, rest, cut = rest[:cut].strip(), rest[cut:].strip(), 0
        if _sounds(head):
            yield head


def _sounds(text: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def _early(text: str, longest: int) -> int:
    """Where the short part that begins a long text ends; 0 if there is no place for that."""
    end = _BREAK.search(text, _EARLY)
    return end.end() if end is not None and end.end() <= min(_CLAUSE, longest) else 0


def _cut(window: str) -> int:
    ends = [match.end() for match in _BREAK.finditer(window)]
    if ends and ends[-1] > len(window) // 3:
        return ends[-1]
    space = window.rfind(" ")
    return space if space > 0 else len(window)
