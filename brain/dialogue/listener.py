"""All robots' sound and one detector: what falls due at about the same time is judged together.

A frame that the detector judges alone costs it twice what one among ten does, and as much again is
spent on getting there. So, where many robots are connected, their frames wait for each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from brain.engines.ports import VoiceDetector, VoiceStream

log = logging.getLogger(__name__)

_TICK_S = 0.016
"""A frame waits no longer than this for those of other robots,"""
_LONG_TICK_S = 0.064
"""unless it is known to be of silence."""
_FEW = 4
"""Up to so many robots no frame waits: what it would save isn't worth it."""


class Listener:
    """Shared by the sessions of a house; for the event loop's thread."""

    def __init__(self, detector: VoiceDetector) -> None:
        self._detector = detector
        self._robots = 0
        self._due: dict[Callable[[], None], None] = {}  # (a set that keeps their order)
        self._timer: asyncio.TimerHandle | None = None
        self._asked: list[tuple[VoiceStream, NDArray[np.float32], asyncio.Future[float]]] = []

    def new_stream(self) -> VoiceStream:
        """The detector's memory of one more microphone."""
        return self._detector.new_stream()

    def join(self) -> None:
        """One robot more is listened to."""
        self._robots += 1

    def leave(self) -> None:
        """One robot fewer."""
        self._robots -= 1

    def due(self, hear: Callable[[], None], *, hurry: bool = True) -> None:
        """A frame of a robot's sound is whole: `hear` it, now or with those of other robots; soon,
        if there is a `hurry`."""
        if self._robots <= _FEW:
            hear()
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + (_TICK_S if hurry else _LONG_TICK_S)
        if self._timer is None or when < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(when, self._tick)
        self._due[hear] = None

    async def probability(self, stream: VoiceStream, frame: NDArray[np.float32]) -> float:
        """That `frame`, float32 [frame_samples] in -1..1 at 16 kHz, is speech: 0..1.

        Frames of one stream one after another. Raises `EngineFailed`.
        """
        if self._robots <= _FEW:
            return float(self._detector.probabilities([stream], frame[np.newaxis])[0])
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._ask)  # once all that a tick has woken have asked
        answer: asyncio.Future[float] = loop.create_future()
        self._asked.append((stream, frame, answer))
        return await answer

    def _tick(self) -> None:
        due, self._due, self._timer = self._due, {}, None
        for hear in due:
            hear()

    def _ask(self) -> None:
        asked, self._asked = self._asked, []
        asked = [one for one in asked if not one[2].done()]  # of a session that was cancelled
        try:
            if len(asked) > 1:
                streams = [stream for stream, _, _ in asked]
                frames = np.stack([frame for _, frame, _ in asked])
                for (_, _, answer), found in zip(
                    asked, self._detector.probabilities(streams, frames), strict=True
                ):
                    answer.set_result(float(found))
                return
        except Exception:
            # One robot's frame may be at fault, and that is no other's.
            log.exception("%d frames could not be judged together; each is alone", len(asked))
        for one in asked:
            self._ask_alone(*one)

    def _ask_alone(
        self, stream: VoiceStream, frame: NDArray[np.float32], answer: asyncio.Future[float]
    ) -> None:
        try:
            found = self._detector.probabilities([stream], frame[np.newaxis])
        except Exception as error:
            log.exception("a frame could not be judged")
            answer.set_exception(error)
        else:
            answer.set_result(float(found[0]))
