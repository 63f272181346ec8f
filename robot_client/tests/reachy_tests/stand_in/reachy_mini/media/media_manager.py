"""Microphone, speaker and camera of the stand-in robot, in real time and without threads."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

RATE = 16_000
BLOCK = RATE // 100  # a device calls back with blocks, not with samples
MICROPHONE_KEEPS_S = 60.0


class MediaBackend(Enum):
    DEFAULT = "default"
    DEFAULT_NO_VIDEO = "default_no_video"
    GSTREAMER = "gstreamer"


class Microphone:
    """Hears a quiet room, and in it what the test says. Stereo, the second channel half as loud."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._clock = now
        self._lock = threading.Lock()
        self._since: float | None = None
        self._read = 0  # samples
        self._said: deque[tuple[int, NDArray[np.float32]]] = deque()  # first sample, sound
        self._room = np.random.default_rng(4)

    def say(self, sound: NDArray[np.float32]) -> float:
        """Mono at 16 kHz, from now on or after what is being said. Returns when it is over."""
        with self._lock:
            assert self._since is not None, "nobody is recording"
            start = int((self._clock() - self._since) * RATE)
            if self._said:
                start = max(start, self._said[-1][0] + len(self._said[-1][1]))
            self._said.append((start, sound))
            return self._since + (start + len(sound)) / RATE

    def start(self) -> None:
        self._since, self._read = self._clock(), 0

    def stop(self) -> None:
        self._since = None

    def read(self) -> NDArray[np.float32] | None:
        """Whatever came since the last call, (N, 2); None if that is less than a block."""
        with self._lock:
            if self._since is None:
                return None
            there = int((self._clock() - self._since) * RATE) // BLOCK * BLOCK
            self._read = max(self._read, there - int(MICROPHONE_KEEPS_S * RATE))
            if there <= self._read:
                return None
            first, self._read = self._read, there
            mono = self._room.normal(0.0, 1e-3, there - first).astype(np.float32)
            for start, sound in self._said:
                low, high = max(start, first), min(start + len(sound), there)
                if low < high:
                    mono[low - first : high - first] += sound[low - start : high - start]
            return np.stack([mono, mono / 2], axis=1)


class Player:
    """Plays in real time what is pushed, whatever the amount, until it is flushed."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._clock = now
        self._lock = threading.Lock()
        self._queue: deque[NDArray[np.float32]] = deque()
        self._now: float | None = None
        self._pieces: list[tuple[float, NDArray[np.float32]]] = []
        self.pushed: list[tuple[float, int]] = []  # when, how many samples
        self.flushed: list[tuple[float, int]] = []  # when, how many samples were never played

    def start(self) -> None:
        self._queue.clear()
        self._now = self._clock()

    def stop(self) -> None:
        with self._lock:
            self._advance()
            self._now = None
            self._queue.clear()

    def push(self, data: NDArray[np.float32]) -> None:
        assert (data.dtype, data.ndim, data.shape[1:]) == (np.float32, 2, (1,)), data.shape
        if self._now is None:
            log.warning("the output isn't open; call start_playing() first")
            return
        with self._lock:
            self._advance()
            self._queue.append(data[:, 0].copy())
            self.pushed.append((self._clock(), len(data)))

    def flush(self) -> None:
        with self._lock:
            self._advance()
            self.flushed.append((self._clock(), sum(map(len, self._queue))))
            self._queue.clear()

    def heard(self) -> list[tuple[float, NDArray[np.float32]]]:
        """The pieces that have come out of the speaker so far, and when each began."""
        with self._lock:
            self._advance()
            return list(self._pieces)

    def queued_s(self) -> float:
        """How much sound waits in the player."""
        with self._lock:
            self._advance()
            return sum(map(len, self._queue)) / RATE

    def _advance(self) -> None:
        if self._now is None:
            return
        now = self._clock()
        while self._queue:
            sound = self._queue.popleft()
            taken = sound[: int((now - self._now) * RATE)]
            if len(taken):
                self._pieces.append((self._now, taken))
                self._now += len(taken) / RATE
            if len(taken) < len(sound):
                self._queue.appendleft(sound[len(taken) :])
                return
        self._now = now


class Audio:
    """The device behind the manager. Each kind of backend is flushed by a name of its own."""

    def __init__(self) -> None:
        self.microphone = Microphone()
        self.player = Player()

    def clear_output_buffer(self) -> None:
        self.player.flush()


class MediaManager:
    """What the app sees. `frame`: what the camera sees, BGR; None if nothing."""

    def __init__(self) -> None:
        self.backend = MediaBackend.DEFAULT
        self.audio = Audio()
        self.frame: NDArray[np.uint8] | None = None
        self.closed = False

    def start_recording(self) -> None:
        self.audio.microphone.start()

    def stop_recording(self) -> None:
        self.audio.microphone.stop()

    def start_playing(self) -> None:
        self.audio.player.start()

    def stop_playing(self) -> None:
        self.audio.player.stop()

    def get_audio_sample(self) -> NDArray[np.float32] | None:
        return self.audio.microphone.read()

    def push_audio_sample(self, data: NDArray[np.float32]) -> None:
        self.audio.player.push(data)

    def get_input_audio_samplerate(self) -> int:
        return RATE

    def get_output_audio_samplerate(self) -> int:
        return RATE

    def get_frame(self) -> NDArray[np.uint8] | None:
        return self.frame

    def close(self) -> None:
        self.stop_recording()
        self.stop_playing()
        self.closed = True
