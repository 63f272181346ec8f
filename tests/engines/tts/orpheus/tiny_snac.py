"""A stand-in for SNAC's decoder: its geometry and its kinds of layers, narrow, random weights.

Written from the published architecture (three codebooks at strides 4, 2, 1; an input convolution;
four blocks of snake, transposed convolution and dilated residual units; snake, convolution, tanh),
not exported from it: that needs torch. It has no noise blocks. Like the real one it looks further
to the sides than a window of four frames reaches, so that windows can be told from the whole.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.engines.tts.tiny_onnx import Graph

_CODES, _WIDTH = 4096, 16
_RATES = (8, 8, 4, 2)
_STRIDES = (4, 2, 1)
NAMES = ("audio_codes.0", "audio_codes.1", "audio_codes.2")


def write_snac(
    path: Path, *, names: tuple[str, ...] = NAMES, rates: tuple[int, ...] = _RATES, seed: int = 1
) -> Path:
    """Write the decoder to `path`; `names` are those of its inputs, from the coarsest layer on."""
    random = np.random.default_rng(seed)
    graph = Graph()

    def weights(*shape: int, size: float = 1.0) -> str:
        scale = size / np.sqrt(np.prod(shape[1:]))
        return graph.constant(random.normal(0, scale, shape).astype(np.float32))

    def snake(x: str, width: int) -> str:
        alpha = graph.constant(random.uniform(0.5, 1.5, (1, width, 1)).astype(np.float32))
        sine = graph.node("Sin", graph.node("Mul", x, alpha))
        return graph.node("Add", x, graph.node("Div", graph.node("Mul", sine, sine), alpha))

    def conv(
        x: str,
        into: int,
        of: int,
        kernel: int,
        dilation: int = 1,
        group: int = 1,
        size: float = 1.0,
    ) -> str:
        pad = dilation * (kernel - 1) // 2
        kernels = weights(into, of // group, kernel, size=size)
        return graph.node(
            "Conv", x, kernels,
            kernel_shape=[kernel], dilations=[dilation], pads=[pad, pad], strides=[1], group=group,
        )  # fmt: skip

    total = ""
    for name, stride in zip(names, _STRIDES, strict=True):
        codes = graph.input(name, ["batch", f"time{stride}"])
        found = graph.node("Gather", weights(_CODES, _WIDTH, size=4.0), codes, axis=0)
        x = graph.node("Transpose", found, perm=[0, 2, 1])
        if stride > 1:  # each code, `stride` times
            spread = graph.constant(np.array([1, 1, 1, stride], np.int64))
            flat = graph.constant(np.array([0, _WIDTH, -1], np.int64))
            axis = graph.constant(np.array([3], np.int64))
            x = graph.node("Tile", graph.node("Unsqueeze", x, axis), spread)
            x = graph.node("Reshape", x, flat)
        total = graph.node("Add", total, x) if total else x

    x = conv(total, _WIDTH, _WIDTH, 7, group=_WIDTH)
    width = _WIDTH
    for rate in rates:
        half = max(2, width // 2)
        up = weights(width, half, 2 * rate, size=float(np.sqrt(rate)))
        x = graph.node(
            "ConvTranspose", snake(x, width), up,
            kernel_shape=[2 * rate], strides=[rate], pads=[rate // 2, rate // 2],
        )  # fmt: skip
        width = half
        for dilation in (1, 3, 9):
            inner = conv(snake(x, width), width, width, 7, dilation, group=width)
            x = graph.node("Add", x, conv(snake(inner, width), width, width, 1, size=0.5))
    sound = graph.node("Tanh", conv(snake(x, width), 1, width, 7, size=0.05))
    graph.write(path, sound, ["batch", 1, "samples"])
    return path
