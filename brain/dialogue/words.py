"""Whether two texts say the same, however they were written down."""

from __future__ import annotations

import re

# A question mark is no ornament: what it makes of the words is answered otherwise.
_WORD = re.compile(r"\w+|[?？]")


def same_words(one: str, other: str) -> bool:
    """Whether these are the same words, case and punctuation apart; a question stays a question."""
    return _words(one) == _words(other)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
