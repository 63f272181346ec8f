"""What waits to be emitted: paced sound and messages, in a queue that the app may replace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from robot_client.pacing import FRAME_MS
from robot_client.reachy.body import Careful
from robot_client.reachy.messages import Shown, being_heard
from robot_client.reachy.paced_speaker import PacedSpeaker

FRAME_S = FRAME_MS / 1000
IDLE_WAIT_S = 0.1  # emit gives the app its turn this often
PARTIAL_DELAY_S = 0.5
MAX_FRAMES_WAITING = 8  # an app that takes no more is not playing: then nothing more is handed out


class Face(Protocol):
    """The handler that the app holds. The app replaces `output_queue`: look it up each time."""

    output_queue: asyncio.Queue[Any]
    _clear_queue: Callable[[], None] | None


class Outputs:
    """Puts messages and frames of sound into the face's queue, and takes them out again.

    `wrap` makes a message what the app expects (fastrtc's `AdditionalOutputs`).
    """

    def __init__(self, face: Face, wrap: Callable[[Shown], Any]) -> None:
        self._face = face
        self._wrap = wrap
        self._careful = Careful()
        self._more_sound = asyncio.Event()
        self._partial: asyncio.TimerHandle | None = None

    def show(self, message: Shown) -> None:
        """A message, at once; it ends a partial transcript that still waits."""
        self._drop_partial()
        self._face.output_queue.put_nowait(self._wrap(message))

    def show_partial(self, words: str) -> None:
        """What has been heard so far, once it has stood for half a second."""
        self._drop_partial()
        loop = asyncio.get_running_loop()
        self._partial = loop.call_later(PARTIAL_DELAY_S, lambda: self.show(being_heard(words)))

    def sound_came(self) -> None:
        """There is sound in the speaker again."""
        self._more_sound.set()

    async def pump(self, speaker: PacedSpeaker) -> None:
        """Move sound from the speaker to the queue as its time comes, until cancelled."""
        while True:
            if self._face.output_queue.qsize() >= MAX_FRAMES_WAITING:
                await asyncio.sleep(FRAME_S)
                continue
            frame = speaker.take()
            if frame is not None:
                self._face.output_queue.put_nowait((speaker.rate, frame.reshape(1, -1)))
                continue
            wait = speaker.wait_s()
            self._more_sound.clear()
            if wait is None:  # the last mark is due when the last frame has been heard
                wait = IDLE_WAIT_S if speaker.empty else FRAME_S
            look_again = min(max(wait, 0.001), IDLE_WAIT_S)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._more_sound.wait(), look_again)

    async def next(self) -> Any:
        """The next `(rate, int16 (1, samples))` or message; None if there is none for 0.1 s."""
        try:
            return await asyncio.wait_for(self._face.output_queue.get(), IDLE_WAIT_S)
        except asyncio.TimeoutError:
            return None

    def hush(self) -> None:
        """Drop all sound that the app holds, at once, and none of the messages."""
        messages = self._drain()
        if callable(clear := self._face._clear_queue):
            self._careful("player", clear, None)  # is flushed, and the queue may be replaced
        for message in messages:
            self._face.output_queue.put_nowait(message)

    def close(self) -> None:
        """Forget all that waits."""
        self._drop_partial()
        self._drain()

    def _drain(self) -> list[Any]:
        """Empty the queue; what comes back are the messages in it."""
        messages = []
        queue = self._face.output_queue
        while not queue.empty():
            if not _is_sound(item := queue.get_nowait()):
                messages.append(item)
        return messages

    def _drop_partial(self) -> None:
        if self._partial is not None:
            self._partial.cancel()
            self._partial = None


def _is_sound(item: object) -> bool:
    return isinstance(item, tuple)
