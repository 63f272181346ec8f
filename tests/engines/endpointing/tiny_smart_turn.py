"""A network in Smart Turn's form that goes by how loud the last tenth of a second is.

Quiet is over, loud isn't: so what it was given can be read off its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.engines.tts.tiny_onnx import Graph

LAST = 10
"""Frames that it looks at."""


def write_network(
    path: Path,
    *,
    shape: Sequence[str | int] = ("batch", 80, 800),
    factor: float = -4.0,
    sigmoid: bool = True,
    width: int = 1,
    second_input: bool = False,
) -> Path:
    """`factor` of what it sees goes into the sigmoid. The others make it unlike Smart Turn: another
    input `shape`, no `sigmoid`, `width` numbers for an answer, an input too many."""
    graph = Graph()
    seen = graph.input("input_features", shape, floats=True)
    if second_input:
        seen = graph.node("Add", seen, graph.input("more", shape, floats=True))
    frames = int(shape[-1])
    last = graph.constant(np.arange(frames - LAST, frames, dtype=np.int64))
    mean = graph.node("ReduceMean", graph.node("Gather", seen, last, axis=2), axes=(1, 2))
    number = graph.node("Mul", mean, graph.constant(np.array([factor], np.float32)))
    answer = graph.node("Sigmoid", number) if sigmoid else number
    flat = graph.node("Reshape", answer, graph.constant(np.array([-1, 1], np.int64)))
    if width > 1:
        flat = graph.node("Concat", *[flat] * width, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    graph.write(path, flat, ["batch", width])
    return path
