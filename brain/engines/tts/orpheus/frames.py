"""From the tokens of Orpheus to the windows that its decoder is given. Pure arithmetic.

An audio token stands for one of 4096 codes, and says by its number at which of the seven places of
a frame it belongs. A frame is 2048 samples at 24 kHz (85.3 ms). Its codes lie in three layers, of
one, two and four codes: places 0; 1 and 4; 2, 3, 5 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 24_000
FRAME_SAMPLES = 2048
FRAME_TOKENS = 7
CODES = 4096
FIRST_AUDIO_TOKEN = 128_266
VOCABULARY = FIRST_AUDIO_TOKEN + FRAME_TOKENS * CODES
"""Ids of the model, the audio tokens the last of them."""
WINDOW_FRAMES = 4

_LAYERS = ((0,), (1, 4), (2, 3, 5, 6))

Frame = tuple[int, ...]
"""Seven codes, 0..4095, in the order of their tokens."""


class FrameAssembler:
    """Takes token ids as they are made, and gives the frames that are complete.

    What isn't the code of the place that is due is passed over: other tokens, and audio tokens of
    another place. So the places stay aligned whatever comes in between.
    """

    def __init__(self) -> None:
        self._codes: list[int] = []

    def feed(self, tokens: Iterable[int]) -> Iterator[Frame]:
        """The frames that `tokens` complete, none or many."""
        for token in tokens:
            code = token - FIRST_AUDIO_TOKEN - len(self._codes) * CODES
            if not 0 <= code < CODES:
                continue
            self._codes.append(code)
            if len(self._codes) == FRAME_TOKENS:
                yield tuple(self._codes)
                self._codes.clear()


@dataclass(frozen=True)
class Window:
    """Frames to be decoded together. Of their sound, the samples `start`..`stop` are wanted."""

    frames: tuple[Frame, ...]
    start: int
    stop: int


class Windows:
    """Cuts a stream of frames into overlapping windows whose wanted parts make the whole sound.

    A window is the last four frames, and its second frame is wanted: it has one before it and two
    after it. The first window gives its first frame as well, and the last one its last two: at
    the ends of what is said there is no more to be had. (To drop them, as others do, costs 85 ms
    of the first word and 170 ms of the last.)

    To decode four frames for the sake of one is dear: 65 ms for the 85 ms of a frame, on one core
    of a server's CPU with the real decoder's layers. So what comes at once, up to `most` frames,
    goes in one longer window (eight at once: 23 ms each), and a decoder that has fallen behind its
    sources catches up. It sounds no worse: the longer windows are nearer to the whole.
    """

    def __init__(self, most: int = 1) -> None:
        self._most = most
        self._tail: list[Frame] = []
        self._seen = self._given = 0

    def feed(self, frames: Sequence[Frame]) -> Iterator[Window]:
        """The windows that these frames complete; none before the fourth frame."""
        for first in range(0, len(frames), self._most):
            added = frames[first : first + self._most]
            self._tail += added
            self._seen += len(added)
            if self._seen >= WINDOW_FRAMES:
                yield self._window(self._seen - 2)

    def finish(self) -> Window | None:
        """No frame follows: the rest. None if there wasn't any frame."""
        return self._window(self._seen) if self._seen else None

    def _window(self, upto: int) -> Window:
        """The window of the last frames that gives what isn't given of the first `upto`."""
        start = max(0, min(self._given - 1, self._seen - WINDOW_FRAMES))
        frames = tuple(self._tail[start - self._seen :])
        given, self._given = self._given, upto
        del self._tail[:-WINDOW_FRAMES]
        return Window(frames, (given - start) * FRAME_SAMPLES, (upto - start) * FRAME_SAMPLES)


def layers(frames: Sequence[Frame]) -> tuple[NDArray[np.int64], ...]:
    """The decoder's three inputs for n frames: int64 [1, n], [1, 2n] and [1, 4n]."""
    codes = np.asarray(frames, dtype=np.int64).reshape(-1, FRAME_TOKENS)
    return tuple(codes[:, list(places)].reshape(1, -1) for places in _LAYERS)
