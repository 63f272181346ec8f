"""What a GGUF file tells of its model: the header alone, without the weights and without llama.cpp.

Read before the model is loaded, to know how much memory it will take. The format: little-endian,
`GGUF`, version (2 or 3), number of tensors, number of pairs, then the pairs, each a name, a type
and a value.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_FORMATS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
"""By GGUF's number of the type."""
_MOST_KEPT = 4096
_MOST = 1 << 24
"""Longest text and most elements that are believed: a larger number is that of a broken file."""
_VALUE_BYTES = 2
"""llama.cpp keeps keys and values in 16 bits unless it is told otherwise."""

Value = int | float | bool | str | tuple[int | float | bool, ...] | None


@dataclass(frozen=True)
class Header:
    """The pairs of a file, by name; long lists (the vocabulary) are left out, as None."""

    pairs: Mapping[str, Value]

    @property
    def layers(self) -> int | None:
        """How many there are; None where the file doesn't tell."""
        return self._number("block_count")

    @property
    def cache_bytes(self) -> int | None:
        """What the keys and values of one token take, in bytes; None where the file doesn't tell.

        Of a model that keeps something else of the past in some layers: the most it may be.
        """
        layers, heads = self.layers, self._number("attention.head_count")
        if layers is None or not heads:
            return None
        cached = self._pair("attention.head_count_kv")
        if isinstance(cached, tuple):
            cached_heads = sum(int(one) for one in cached)
        else:
            cached_heads = layers * (int(cached) if isinstance(cached, int) else heads)
        width = self._number("embedding_length")
        key, value = self._number("attention.key_length"), self._number("attention.value_length")
        if None in (key, value) and width is None:
            return None
        head = (width or 0) // heads
        return _VALUE_BYTES * cached_heads * ((key or head) + (value or head))

    def _pair(self, name: str) -> Value:
        return self.pairs.get(f"{self.pairs.get('general.architecture')}.{name}")

    def _number(self, name: str) -> int | None:
        value = self._pair(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def read(path: Path) -> Header | None:
    """The header of a GGUF file; None of what is none, or is cut off within it. Never raises."""
    try:
        with path.open("rb") as file:
            return _header(file)
    except (OSError, ValueError, struct.error):
        return None


def _header(file: BinaryIO) -> Header | None:
    if file.read(4) != _MAGIC:
        return None
    version, _, pairs = _take(file, "IQQ")
    if version not in (2, 3) or pairs > _MOST:
        return None
    found: dict[str, Value] = {}
    for _ in range(pairs):
        name = _text(file)
        (kind,) = _take(file, "I")
        found[name] = _value(file, kind)
    return Header(found)


def _value(file: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        one: int | float | bool = _take(file, _format(kind))[0]
        return one
    of, count = _take(file, "IQ")
    if count > _MOST:
        raise ValueError("a list that is too long to be one")
    if of == _ARRAY:
        raise ValueError("a list of lists, which no model has")
    if of == _STRING:
        for _ in range(count):
            _value(file, of)
        return None
    values = _take(file, f"{count}{_format(of)}")
    return values if count <= _MOST_KEPT else None


def _text(file: BinaryIO) -> str:
    (length,) = _take(file, "Q")
    if length > _MOST:
        raise ValueError("a text that is too long to be one")
    return _exactly(file, length).decode("utf-8", "replace")


def _take(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    packed = f"<{layout}"
    return struct.unpack(packed, _exactly(file, struct.calcsize(packed)))


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise ValueError("the file ends here")
    return data


def _format(kind: int) -> str:
    if kind not in _FORMATS:
        raise ValueError(f"there is no type {kind}")
    return _FORMATS[kind]
