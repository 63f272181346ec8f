"""A stand-in for Kokoro's two files: its inputs and its form of voices, tones in place of a net.

Each phoneme is a tone of 50 ms (at speed 1) at a pitch of its own, between two silences, as the
real network puts some around its sound. The first number of a style is a factor on the pitch, the
second is the loudness; the rest isn't looked at. So what was asked of the network can be read off
its sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.engines.tts.tiny_onnx import Graph

RATE = 24_000
TONE = 1_200
"""Samples a phoneme at speed 1."""
SILENCE = 7_200, 4_800
"""Samples before and after."""
STYLE = 256
LENGTHS = 510
VOICES = {"af_heart": 1.0, "am_low": 0.5, "bf_high": 1.5, "ef_tenor": 1.2}
"""By their names, their factors on the pitch."""

_TOKENS = 178
_INT, _FLOAT = 7, 1


def pitches() -> NDArray[np.float32]:
    """Hz, of each token."""
    return np.float32(150) + np.arange(_TOKENS, dtype=np.float32) * 3


def write_network(path: Path, *, tokens: str = "tokens", slow: int = 0) -> Path:
    """`tokens` is the name of that input, of which there are two in the world. `slow`: how many
    steps of about 10 ms a run takes before it makes any sound."""
    graph = Graph()
    ids = graph.input(tokens, [1, "length"])
    style = graph.input("style", [1, STYLE], floats=True)
    speed = graph.input("speed", [1], floats=True)

    def number(*values: float) -> str:
        return graph.constant(np.array(values, np.float32))

    def whole(*values: int) -> str:
        return graph.constant(np.array(values, np.int64))

    def one(value: str, at: int) -> str:
        """A scalar, the number at this place."""
        return graph.node("Gather", graph.node("Reshape", value, whole(-1)), _scalar(graph, at))

    each = graph.node("Cast", graph.node("Div", number(TONE), speed), to=_INT)  # [1]
    count = graph.node("Shape", graph.node("Reshape", ids, whole(-1)))  # [1]
    total = one(graph.node("Mul", each, count), 0)
    time = graph.node("Range", _scalar(graph, 0), total, _scalar(graph, 1))
    which = graph.node("Div", time, each)
    token = graph.node("Gather", graph.node("Reshape", ids, whole(-1)), which)
    hertz = graph.node("Gather", graph.constant(pitches()), token)
    hertz = graph.node("Mul", hertz, one(style, 0))
    angle = graph.node("Mul", hertz, graph.node("Cast", time, to=_FLOAT))
    sound = graph.node("Sin", graph.node("Mul", angle, number(2 * np.pi / RATE)))
    sound = graph.node("Mul", sound, one(style, 1))
    if slow:
        sound = graph.node("Add", sound, _labour(graph, style, slow))
    around = graph.constant(np.array(SILENCE, np.int64))
    graph.write(path, graph.node("Pad", sound, around), ["samples"])
    return path


def _scalar(graph: Graph, value: int) -> str:
    return graph.constant(np.array(value, np.int64))


def _labour(graph: Graph, style: str, steps: int) -> str:
    """Nothing (0 in form [1]), after so many products of large matrices."""
    wide = 768
    random = np.random.default_rng(0).normal(0, wide**-0.5, (wide, wide)).astype(np.float32)
    weights = graph.constant(random)
    column = graph.node("Gather", style, graph.constant(np.zeros(wide, np.int64)), axis=1)
    x = graph.node("Add", weights, column)
    for _ in range(steps):
        x = graph.node("Tanh", graph.node("MatMul", x, weights))
    flat = graph.node("Reshape", x, graph.constant(np.array([-1], np.int64)))
    first = graph.node("Gather", flat, graph.constant(np.zeros(1, np.int64)))
    return graph.node("Mul", first, graph.constant(np.zeros(1, np.float32)))


def styles(pitch: float) -> NDArray[np.float32]:
    """float32 [510, 1, 256], as a voice is: the loudness tells which row it is."""
    made = np.zeros((LENGTHS, 1, STYLE), np.float32)
    made[:, 0, 0] = pitch
    made[:, 0, 1] = loudness(np.arange(1, LENGTHS + 1))
    return made


def loudness(phonemes: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """The peak of a run of so many, 0..1."""
    return 0.2 + np.asarray(phonemes) / 1_000


def write_voices(path: Path, voices: Mapping[str, float] | None = None) -> Path:
    with path.open("wb") as file:  # (numpy would add .npz to a name)
        np.savez(file, **{n: styles(p) for n, p in (voices or VOICES).items()})
    return path


def write_kokoro(folder: Path, *, slow: int = 0) -> tuple[Path, Path]:
    """The network and its voices, by the names that the settings have by default."""
    folder.mkdir(parents=True, exist_ok=True)
    network = write_network(folder / "kokoro-v1.0.onnx", slow=slow)
    return network, write_voices(folder / "voices-v1.0.bin")
