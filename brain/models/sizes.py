"""How much memory a model takes, by part: of its file where that is here, else of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brain.models import gguf
from brain.models.catalog import Model

Source = Literal["file", "catalogue", "unknown"]

_EIGHT_BITS = ("int8", "int8_float32", "int8_float16", "int8_bfloat16")
_GB = 1_000_000_000


@dataclass(frozen=True)
class Size:
    """Bytes, None where nobody knows; `source`: who does."""

    size: int | None
    source: Source


@dataclass(frozen=True)
class MindSize:
    """`weights`, what each token of context takes (`cache`), and how many `layers` share both."""

    weights: Size
    cache: Size
    layers: int | None = None

    def on_gpu(self, layers: int) -> float:
        """The share of it that is on the GPU with so many layers there (-1: all), 0..1.

        The last one, that of the output, counts as one more.
        """
        if layers < 0 or self.layers is None:
            return 1.0 if layers else 0.0
        return min(1.0, layers / (self.layers + 1))


def of_gguf(file: Path, known: Model | None) -> MindSize:
    """A model for llama.cpp. Reads the file's header, if there is one; never raises."""
    weights, cache = _told(known, "weights_gb"), _told(known, "cache_bytes")
    try:
        weights = Size(file.stat().st_size, "file")
    except (OSError, ValueError):
        return MindSize(weights, cache)
    header = gguf.read(file)
    if header is None:
        return MindSize(weights, cache)
    if header.cache_bytes is not None:
        cache = Size(header.cache_bytes, "file")
    return MindSize(weights, cache, header.layers)


def of_named(known: Model | None) -> MindSize:
    """A model that an engine fetches by its repository."""
    return MindSize(_told(known, "weights_gb"), _told(known, "cache_bytes"))


def of_ears(file: Path, known: Model | None, compute_type: str) -> Size:
    """A Whisper model, whose `file` is its model.bin, as it runs in this number format."""
    eight = compute_type in _EIGHT_BITS
    if known is not None:
        gb = known.int8_gb if eight and known.int8_gb else known.memory_gb
        return Size(round(gb * _GB), "catalogue")
    return _of_file(file, 0.5 if eight else 1.0)  # files are in float16


def of_file(file: Path, known: Model | None) -> Size:
    """Any other model: what the catalogue has, else at least its file."""
    if known is not None:
        return Size(round(known.memory_gb * _GB), "catalogue")
    return _of_file(file, 1.0)


def _of_file(file: Path, share: float) -> Size:
    try:
        return Size(round(file.stat().st_size * share), "file")
    except (OSError, ValueError):
        return Size(None, "unknown")


def _told(known: Model | None, field: Literal["weights_gb", "cache_bytes"]) -> Size:
    value = getattr(known, field) if known is not None else 0
    if not value:
        return Size(None, "unknown")
    return Size(round(value * _GB) if field == "weights_gb" else value, "catalogue")
