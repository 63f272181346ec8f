"""GGUF files, written and read by hand: tiny models for the tests need no package for that."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
_PLAIN = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_F32, _F16, _Q8_0 = 0, 1, 8
_ALIGNMENT = 32
_BLOCK = 32
_BLOCKS = np.dtype([("scale", "<f2"), ("codes", "i1", (_BLOCK,))])

Facts = Mapping[str, tuple[int, Any]]
"""What a file tells of its model, by key: the value's kind, and the value. That of an array is the
kind of its items and a list of them."""


def write_gguf(path: Path, facts: Facts, tensors: Mapping[str, NDArray[Any]]) -> Path:
    """Write a model to `path`; its tensors are float16, float32 or what `q8_0` makes of them."""
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(facts)) + _told(facts)
    place = 0
    for name, data in tensors.items():
        kind, shape = _F16 if data.dtype == np.float16 else _F32, data.shape[::-1]
        if data.dtype == _BLOCKS:
            kind, shape = _Q8_0, (shape[0] * _BLOCK, *shape[1:])
        header += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        header += struct.pack("<IQ", kind, place)
        place += _padded(data.nbytes)
    with path.open("wb") as file:
        file.write(header.ljust(_padded(len(header)), b"\0"))
        for data in tensors.values():
            file.write(data.tobytes().ljust(_padded(data.nbytes), b"\0"))
    return path


def q8_0(weights: NDArray[Any]) -> NDArray[Any]:
    """Eight bits a weight, and a scale for each 32 in a row: a quarter of float32's time on a CPU.

    `weights` is float16 or float32 [rows, columns], whose columns are a multiple of 32.
    """
    rows, columns = weights.shape
    values = weights.astype(np.float32).reshape(rows, columns // _BLOCK, _BLOCK)
    blocks = np.zeros(values.shape[:2], _BLOCKS)
    blocks["scale"] = np.abs(values).max(axis=2) / 127
    scale = blocks["scale"].astype(np.float32)[..., None]
    blocks["codes"] = np.round(np.divide(values, scale, out=np.zeros_like(values), where=scale > 0))
    return blocks


def retold(source: Path, path: Path, change: Callable[[dict[str, tuple[int, Any]]], Facts]) -> Path:
    """Write `source` to `path`, with its facts as `change` makes them from a dict of them."""
    data = source.read_bytes()
    count, facts_count = struct.unpack_from("<QQ", data, 8)
    place = 24
    facts: dict[str, tuple[int, Any]] = {}
    for _ in range(facts_count):
        key, place = _read_text(data, place)
        (kind,) = struct.unpack_from("<I", data, place)
        value, place = _read(data, place + 4, kind)
        facts[key] = (kind, value)
    tensors = place
    for _ in range(count):
        _, place = _read_text(data, place)
        (dimensions,) = struct.unpack_from("<I", data, place)
        place += 4 + 8 * dimensions + 12
    header = struct.pack("<4sIQQ", b"GGUF", 3, count, len(new := change(facts)))
    header += _told(new) + data[tensors:place]
    path.write_bytes(header.ljust(_padded(len(header)), b"\0") + data[_padded(place) :])
    return path


def _told(facts: Facts) -> bytes:
    return b"".join(
        _text(key) + struct.pack("<I", kind) + _value(kind, value)
        for key, (kind, value) in facts.items()
    )


def _value(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return _text(value)
    if kind == ARRAY:
        inner, items = value
        head = struct.pack("<IQ", inner, len(items))
        if inner == STRING:
            return head + b"".join(map(_text, items))
        return head + struct.pack(f"<{len(items)}{_PLAIN[inner][1]}", *items)
    return struct.pack(_PLAIN[kind], value)


def _read(data: bytes, place: int, kind: int) -> tuple[Any, int]:
    if kind == STRING:
        return _read_text(data, place)
    if kind == ARRAY:
        inner, count = struct.unpack_from("<IQ", data, place)
        place += 12
        items = []
        for _ in range(count):
            item, place = _read(data, place, inner)
            items.append(item)
        return (inner, items), place
    (value,) = struct.unpack_from(_PLAIN[kind], data, place)
    return value, place + struct.calcsize(_PLAIN[kind])


def _read_text(data: bytes, place: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("<Q", data, place)
    return data[place + 8 : place + 8 + size].decode("utf-8", "surrogateescape"), place + 8 + size


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
