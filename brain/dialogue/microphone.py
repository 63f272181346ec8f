"""A robot's microphone: the wire's sound in, judged frames out, and the sound itself on demand."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import to_float
from brain.audio.resample import Resampler
from brain.dialogue.events import Frame, Sound
from brain.dialogue.listener import Listener
from brain.dialogue.state import FRAME, RATE

# Once speech has begun, the detector may be this much less sure that it goes on.
_HYSTERESIS = 0.15


class Microphone:
    """Keeps the last `keep` samples at 16 kHz under their running numbers (0 is the first ever).

    `frame` is the last one that was judged, int16 [512].
    """

    def __init__(self, listener: Listener, *, keep: int) -> None:
        self.end = 0
        self._listener = listener
        self._stream = listener.new_stream()
        self._keep = keep
        self._blocks: deque[NDArray[np.int16]] = deque()
        self._kept = 0
        self._resampler = Resampler(RATE, RATE)
        self._rest = np.zeros(0, np.int16)
        self._speech = False
        self.frame: NDArray[np.int16] = self._rest

    def set_rate(self, sample_rate: int) -> None:
        """The rate in Hz of the sound that comes from now on."""
        if sample_rate != self._resampler.source:
            self._store(self._resampler.flush())
            self._resampler = Resampler(sample_rate, RATE)

    def forget(self) -> None:
        """The detector starts afresh; what was stored stays."""
        self._stream.reset()
        self._speech = False

    def push(self, samples: NDArray[np.int16]) -> None:
        """Take int16 [n] at the wire's rate; `next_frame` then judges it."""
        self._store(self._resampler.push(samples))

    @property
    def lacks(self) -> int:
        """Samples at 16 kHz that are missing to the next frame; 0 or less: there is one."""
        return FRAME - len(self._rest)

    async def next_frame(self, *, threshold: float, judge: bool) -> Frame | Sound | None:
        """The next frame of what was pushed, None when less than a frame is left.

        `judge` False: nobody listens (push-to-talk, a deaf ear), so no detector is asked.
        Raises `EngineFailed` from the detector.
        """
        if len(self._rest) < FRAME:
            return None
        frame, self._rest = self._rest[:FRAME], self._rest[FRAME:]
        self.frame = frame
        self.end += FRAME
        if not judge:
            if self._speech:
                self.forget()
            return Sound(self.end)
        probability = await self._listener.probability(self._stream, to_float(frame))
        if self._speech:
            threshold = max(threshold - _HYSTERESIS, 0.01)
        self._speech = probability >= threshold
        return Frame(self._speech, self.end)

    def take(self, start: int, end: int) -> NDArray[np.float32]:
        """float32 [end - start] in -1..1: these samples, less what is no longer kept."""
        stored = np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)
        first = self.end + len(self._rest) - len(stored)
        return to_float(stored[max(0, start - first) : max(0, end - first)])

    def _store(self, samples: NDArray[np.int16]) -> None:
        self._rest = np.concatenate((self._rest, samples))
        self._blocks.append(samples)
        self._kept += len(samples)
        while self._kept - len(self._blocks[0]) >= self._keep:
            self._kept -= len(self._blocks.popleft())
