"""A stand-in for the module sounddevice: the calls that the client makes, at real-time pace.

No test has a sound card. A process finds this one by its PYTHONPATH. Two cards: 0 has a microphone
of two channels and takes 48 kHz alone, 1 has a microphone and a speaker.

$STAND_IN_MICROPHONE: "tone" (a quiet one), "dies" (it gives that for 200 ms), or a file of raw PCM
at 16 kHz, which is heard from when it is there. $STAND_IN_SPEAKER: "dies" (it takes sound for
200 ms), or a file for what it got.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

_CARDS: list[dict[str, Any]] = [
    {"name": "Array", "hostapi": 0, "max_input_channels": 2, "max_output_channels": 0,
     "default_samplerate": 48_000.0},
    {"name": "Card: Duplex", "hostapi": 0, "max_input_channels": 1, "max_output_channels": 1,
     "default_samplerate": 16_000.0},
]  # fmt: skip


class PortAudioError(Exception):
    """As the module's own."""


class default:  # noqa: N801  the module's name for it
    device = (1, 1)


def query_hostapis() -> tuple[dict[str, Any], ...]:
    return ({"name": "Stand-in"},)


def query_devices(device: int | None = None, kind: str | None = None) -> Any:
    if kind is None:
        return _CARDS
    return _CARDS[1 if device is None else device]


def _check(side: str, device: int | None, samplerate: float | None, channels: int) -> None:
    card = query_devices(device, side)
    rates = {48_000} if card is _CARDS[0] else {16_000, 48_000}
    exact = card is _CARDS[0]
    most = card[f"max_{side}_channels"]
    if channels > most or (exact and channels != most):
        raise PortAudioError("Invalid number of channels")
    if samplerate is not None and samplerate not in rates:
        raise PortAudioError("Invalid sample rate")


def check_input_settings(device: Any, samplerate: Any, channels: int, dtype: str) -> None:
    assert dtype == "int16"
    _check("input", device, samplerate, channels)


def check_output_settings(device: Any, samplerate: Any, channels: int, dtype: str) -> None:
    assert dtype == "int16"
    _check("output", device, samplerate, channels)


class _Stream:
    side = ""

    def __init__(self, **options: Any) -> None:
        _check(self.side, options["device"], options["samplerate"], options["channels"])
        self._options = options
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Stream:  # noqa: PYI034
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        rate, frames = self._options["samplerate"], self._options["blocksize"]
        start = time.monotonic()
        done = 0
        while not self._over.wait(max(0.0, start + (done + frames) / rate - time.monotonic())):
            self.block(np.zeros((frames, self._options["channels"]), np.int16), done / rate)
            done += frames

    def block(self, block: Any, at_s: float) -> None:
        raise NotImplementedError


class InputStream(_Stream):
    side = "input"
    _question: Any = None

    def block(self, block: Any, at_s: float) -> None:
        what = os.environ.get("STAND_IN_MICROPHONE", "tone")
        if what == "dies" and at_s > 0.2:
            return
        if what in ("tone", "dies"):
            t = at_s + np.arange(len(block)) / self._options["samplerate"]
            block[:, 0] = 3277 * np.sin(2 * np.pi * 400 * t)  # -20 dBFS at its peak
        else:
            block[:, 0] = self._heard(Path(what), len(block))
        self._options["callback"](block, len(block), None, "")

    def _heard(self, path: Path, count: int) -> Any:
        noise = np.random.default_rng(7).standard_normal(count) * 20
        if self._question is None and path.exists():
            self._question = np.frombuffer(path.read_bytes(), "<i2")
        if self._question is not None:
            now, self._question = self._question[:count], self._question[count:]
            noise[: len(now)] += now
        return noise


class OutputStream(_Stream):
    side = "output"

    def block(self, block: Any, at_s: float) -> None:
        path = os.environ.get("STAND_IN_SPEAKER")
        if path == "dies" and at_s > 0.2:
            return
        self._options["callback"](block, len(block), None, "")
        if path not in (None, "dies"):
            with Path(path).open("ab") as file:
                file.write(block.tobytes())
