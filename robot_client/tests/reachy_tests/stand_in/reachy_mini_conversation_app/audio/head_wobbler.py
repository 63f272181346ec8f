"""Moves the head to the sound of the voice."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reachy_mini_conversation_app.moves import Offsets

SAMPLE_RATE = 24_000


class HeadWobbler:
    """The real one has a thread that plays the sound's loudness as offsets; this one notes both."""

    def __init__(self, set_speech_offsets: Callable[[Offsets], None]) -> None:
        self._apply_offsets = set_speech_offsets
        self.running = False
        self.fed: list[tuple[float, NDArray[np.int16]]] = []
        self.resets: list[float] = []

    def feed(self, delta_b64: str) -> None:
        pcm = np.frombuffer(base64.b64decode(delta_b64, validate=True), dtype=np.int16)
        self.fed.append((time.monotonic(), pcm))
        self._apply_offsets((0.0, 0.0, 0.0, 0.0, 0.0, 0.0))

    def reset(self) -> None:
        self.resets.append(time.monotonic())

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False
