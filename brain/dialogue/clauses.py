"""Token stream -> clauses that a voice can say one after another.

The first clause is short, so that the voice starts early; the later ones are whole sentences, so
that it sounds natural. A boundary is punctuation with white space after it: "3.14" and
"example.org" stay whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Runs are bounded, so that a text of nothing but question marks stays cheap.
_SENTENCE_END = re.compile(r"[.!?…。！？]{1,8}[\"')\]”’]{0,4}(?=\s)|\n+")
_CLAUSE_END = re.compile(r"[,;:—–]{1,8}(?=\s)|" + _SENTENCE_END.pattern)
_LETTER = re.compile(r"\w")
_ABBREVIATION = re.compile(
    r"(?:^|\s)(?:mr|mrs|ms|dr|st|prof|vs|etc|e\.g|i\.e|[A-Z])\.$", re.IGNORECASE
)
_ABBREVIATION_LENGTH = 8
_MARKDOWN = re.compile(r"[*_`#~|]+|^\s*[-•]\s+", re.MULTILINE)


@dataclass
class ClauseSplitter:
    """Feed text with `push`, then `flush`; each gives the clauses that are complete.

    first_letters: the first clause may end at a comma after so many letters. max_letters: a
    sentence longer than this is cut at a comma, or at a space.
    """

    first_letters: int = 10
    max_letters: int = 160
    _rest: str = ""
    _first: bool = True

    def push(self, text: str) -> list[str]:
        self._rest += text
        clauses: list[str] = []
        while (end := self._boundary()) is not None:
            clause, self._rest = self._rest[:end].strip(), self._rest[end:]
            if clause:
                clauses.append(clause)
                self._first = False
        return clauses

    def flush(self) -> list[str]:
        """The stream is over: what is left is the last clause."""
        clauses = self.push("\n")
        rest, self._rest, self._first = self._rest.strip(), "", True
        return [*clauses, rest] if rest else clauses

    def _boundary(self) -> int | None:
        pattern = _CLAUSE_END if self._first else _SENTENCE_END
        for match in pattern.finditer(self._rest):
            end = match.end()
            short = self._first and match[0][0] in ",;:—–"
            if short and _letters(self._rest[:end]) < self.first_letters:
                continue
            # Its last characters are enough, and a long text stays cheap.
            if _ABBREVIATION.search(self._rest[max(0, end - _ABBREVIATION_LENGTH) : end]):
                continue
            if end > self.max_letters:
                break
            return match.end()
        return self._cut() if len(self._rest) > self.max_letters else None

    def _cut(self) -> int | None:
        """Where to break a sentence without an end: its last comma, else its last space."""
        head = self._rest[: self.max_letters]
        commas = [match.end() for match in _CLAUSE_END.finditer(head)]
        if commas:
            return commas[-1]
        space = head.rfind(" ")
        return space if space > 0 else self.max_letters


def speakable(text: str) -> str:
    """`text` without the marks of Markdown, which a voice would read out."""
    return _MARKDOWN.sub("", text).strip()


def _letters(text: str) -> int:
    return len(_LETTER.findall(text))
