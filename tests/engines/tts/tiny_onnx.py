"""Writes small ONNX files without the onnx package: just enough of its protocol buffers.

Field numbers are those of onnx.proto (ONNX IR version 8, operator set 17).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT, _INT64 = 1, 7
_KIND_FLOAT, _KIND_INT, _KIND_INTS = 1, 2, 7


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _int(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _data(number: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _attribute(name: str, value: float | Sequence[int]) -> bytes:
    if isinstance(value, float):
        number = _varint(2 << 3 | 5) + np.float32(value).tobytes()
        return _data(1, name) + number + _int(20, _KIND_FLOAT)
    if isinstance(value, int):
        return _data(1, name) + _int(3, value) + _int(20, _KIND_INT)
    return _data(1, name) + b"".join(_int(8, one) for one in value) + _int(20, _KIND_INTS)


def _value(name: str, kind: int, shape: Sequence[str | int]) -> bytes:
    sizes = [_data(2, size) if isinstance(size, str) else _int(1, size) for size in shape]
    tensor = _int(1, kind) + _data(2, b"".join(_data(1, size) for size in sizes))
    return _data(1, name) + _data(2, _data(1, tensor))


@dataclass
class Graph:
    """A graph under construction: each call adds a node and gives the name of its output."""

    _parts: list[bytes] = field(default_factory=list)
    _names: int = 0

    def input(self, name: str, shape: Sequence[str | int], *, floats: bool = False) -> str:
        """An input, int64 or float32; a size that is a word is free."""
        self._parts.append(_data(11, _value(name, _FLOAT if floats else _INT64, shape)))
        return name

    def constant(self, array: NDArray[Any]) -> str:
        name = self._name()
        kind = _INT64 if array.dtype == np.int64 else _FLOAT
        raw = array.astype(np.int64 if kind == _INT64 else np.float32).tobytes()
        sizes = b"".join(_int(1, size) for size in array.shape)
        self._parts.append(_data(5, sizes + _int(2, kind) + _data(8, name) + _data(9, raw)))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = self._name()
        node = b"".join(_data(1, given) for given in inputs) + _data(2, name) + _data(4, kind)
        node += b"".join(_data(5, _attribute(key, value)) for key, value in attributes.items())
        self._parts.append(_data(1, node))
        return name

    def write(self, path: Path, output: str, shape: Sequence[str | int]) -> None:
        graph = b"".join(self._parts) + _data(2, "tiny")
        graph += _data(12, _value(output, _FLOAT, shape))
        operators = _data(1, "") + _int(2, 17)
        path.write_bytes(_int(1, 8) + _data(7, graph) + _data(8, operators))

    def _name(self) -> str:
        self._names += 1
        return f"t{self._names}"
