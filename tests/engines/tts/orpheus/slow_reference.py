"""What a stream of ids sounds like, worked out slowly and all at once, from the facts alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

WINDOW, FRAME = 28, 2048


def slow_codes(ids: list[int]) -> list[int]:
    """One id at a time: what stands at the running index of audio tokens, if it is a code there."""
    codes: list[int] = []
    for token in ids:
        number = token - 128_256
        code = number - 10 - (len(codes) % 7) * 4096
        if code >= 0 and code < 4096:
            codes.append(code)
    return codes


def slow_sound(ids: list[int], decoder: Path) -> NDArray[np.int16]:
    """int16 at 24 kHz: for each frame, the window of 28 tokens that has it second, decoded; at the
    ends, where there is no such window, the nearest one."""
    session = _session(decoder)
    codes = slow_codes(ids)
    frames = len(codes) // 7
    sound: list[NDArray[np.float32]] = []
    for frame in range(frames):
        start = min(max(frame - 1, 0), max(frames - 4, 0))
        decoded = _decoded(session, codes[7 * start : 7 * min(start + 4, frames)])
        sound.append(decoded[FRAME * (frame - start) : FRAME * (frame - start + 1)])
    whole = np.concatenate(sound) if sound else np.zeros(0, np.float32)
    return np.clip(np.rint(whole * 32768.0), -32768, 32767).astype(np.int16)


def whole_sound(ids: list[int], decoder: Path) -> NDArray[np.float32]:
    """float32: all frames decoded at once, as a robot that can wait would."""
    session = _session(decoder)
    codes = slow_codes(ids)
    return _decoded(session, codes[: len(codes) // 7 * 7])


@cache
def _session(decoder: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(decoder), providers=["CPUExecutionProvider"])


def _decoded(session: onnxruntime.InferenceSession, codes: list[int]) -> NDArray[np.float32]:
    layers: tuple[list[int], list[int], list[int]] = ([], [], [])
    for index, code in enumerate(codes):
        layers[{0: 0, 1: 1, 4: 1}.get(index % 7, 2)].append(code)
    names = [given.name for given in session.get_inputs()]
    feeds = {n: np.array([layer], np.int64) for n, layer in zip(names, layers, strict=True)}
    sound: NDArray[np.float32] = session.run(None, feeds)[0].ravel()
    return sound
