"""What was said is marked before a chat template is rendered, and found again after it.

Everything said is put between two marks before rendering. The marks are random, made anew for
each rendering, so no speaker can know them, and the rendered text is split where they stand.

llama.cpp turns *user-defined* tokens (`<tool_call>`) into tokens even where special tokens are off:
in untrusted text such markers are broken up by a space.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Tokens that common vocabularies hold as user-defined; adapters add those of their own model.
COMMON_MARKERS = (
    "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>",
    "<think>", "</think>", "<|python_tag|>", "[TOOL_CALLS]",
)  # fmt: skip

# No control token of any known vocabulary can be spelled with these alone.
_HARMLESS = re.compile(r"[\w\s.,:;()'\"!?/+-]*", re.ASCII)


@dataclass(frozen=True)
class Segment:
    """A piece of a prompt. Only a trusted one may be tokenised with special tokens. One that is a
    `picture`, a JPEG or PNG, has no text."""

    text: str
    trusted: bool
    picture: bytes | None = None

    def joins(self, trusted: bool) -> bool:
        """Whether text that is `trusted` or not goes on in this piece."""
        return self.picture is None and self.trusted == trusted


@dataclass(frozen=True)
class Marks:
    """The two random marks around what is not trusted, and the one before a picture's number, for
    one rendering. `pictures` are those that have a number."""

    start: str
    end: str
    picture: str
    markers: tuple[str, ...]
    pictures: list[bytes] = field(default_factory=list)

    @classmethod
    def fresh(cls, markers: tuple[str, ...]) -> Marks:
        nonce = secrets.token_hex(12)
        return cls(f"U{nonce}S", f"U{nonce}E", f"U{nonce}P", markers)

    def around(self, text: str) -> str:
        return f"{self.start}{defuse(text, self.markers)}{self.end}" if text else ""

    def shown(self, pictures: Sequence[bytes]) -> str:
        """What stands for `pictures` until the rendered text is split."""
        self.pictures.extend(pictures)
        numbers = range(len(self.pictures) - len(pictures), len(self.pictures))
        return "".join(f"{self.picture}{number}E" for number in numbers)

    def within(self, value: Any) -> Any:
        """Mark every text in a JSON value (keys too) that could spell a token."""
        if isinstance(value, str):
            return value if _HARMLESS.fullmatch(value) else self.around(value)
        if isinstance(value, Mapping):
            return {self.within(str(key)): self.within(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.within(item) for item in value]
        return value

    def split(self, rendered: str) -> list[Segment]:
        segments: list[Segment] = []
        trusted = True
        for piece in re.split(f"({self.start}|{self.end}|{self.picture}[0-9]+E)", rendered):
            if piece.startswith(self.picture):
                number = int(piece[len(self.picture) : -1])
                segments.append(Segment("", True, self.pictures[number]))
            elif piece in (self.start, self.end):
                # A template that cut a text in two may have lost either mark. Falling back to
                # "untrusted" is the safe side: at worst a marker of the template stays text.
                trusted = piece == self.end
            elif piece and segments and segments[-1].joins(trusted):
                segments[-1] = Segment(segments[-1].text + piece, trusted)
            elif piece:
                segments.append(Segment(piece, trusted))
        return segments


def defuse(text: str, markers: Iterable[str] = COMMON_MARKERS) -> str:
    """Break up each of `markers` in `text` by a space after its first character."""
    for marker in markers:
        while marker in text:
            text = text.replace(marker, f"{marker[0]} {marker[1:]}")
    return text
