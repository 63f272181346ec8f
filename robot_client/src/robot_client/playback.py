"""The queue between the brain's sound and the speaker, and how much has come out. Pure.

The brain keeps in its history only what was heard, so a mark must say neither more nor less than
what has been handed to the device: they are counted in samples, here, where they are handed over.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_client.pcm import PCM, Resampler

MARK_MS = 200


@dataclass(frozen=True)
class Mark:
    """So many whole milliseconds of a reply have been handed to the device."""

    reply_id: int
    ms: int


@dataclass
class _Reply:
    reply_id: int
    resampler: Resampler | None = None  # made by its first sound, which names its rate
    played: int = 0  # samples at the device's rate
    marked_ms: int = 0
    ended: bool = False  # nothing more of it will come


class Playback:
    """Reply sound in, device blocks out; thread-safe, because a device pulls from its own thread.

    `rate` is the device's, Hz. `on_mark` gets a mark every `MARK_MS` of a reply, when the queue
    runs dry, and on a flush; it is called on the thread that pulled or flushed, outside the lock.
    """

    def __init__(self, rate: int, on_mark: Callable[[Mark], None]) -> None:
        self.rate = rate
        self._on_mark = on_mark
        self._lock = threading.Lock()
        self._queue: deque[tuple[_Reply, PCM]] = deque()
        self._replies: dict[int, _Reply] = {}
        self._dropped_to = -1  # replies up to this one were flushed: late sound of them is ignored

    @property
    def empty(self) -> bool:
        """Whether the device would get silence now."""
        with self._lock:
            return not self._queue

    @property
    def queued_ms(self) -> float:
        """Sound that waits for the device."""
        with self._lock:
            return sum(len(sound) for _reply, sound in self._queue) * 1000 / self.rate

    def push(self, reply_id: int, pcm: PCM, sample_rate: int) -> None:
        """Sound of a reply at its own rate, Hz. Ignored if that reply was flushed."""
        with self._lock:
            if 0 < reply_id <= self._dropped_to:  # 0: a brain that doesn't number its replies
                return
            reply = self._replies.setdefault(reply_id, _Reply(reply_id))
            if reply.resampler is None:
                reply.resampler = Resampler(sample_rate, self.rate)
            self._append(reply, reply.resampler.feed(pcm))

    def end(self, reply_id: int) -> None:
        """Nothing more of this reply will come; its last mark follows its last sample."""
        with self._lock:
            reply = self._replies.get(reply_id)
            if reply is None or reply.ended:
                return
            reply.ended = True
            if reply.resampler is not None:
                self._append(reply, reply.resampler.feed(np.zeros(0, np.int16), last=True))
            marks = self._ended_marks()
        self._tell(marks)

    def pull(self, count: int) -> PCM:
        """The next block for the device, shape (count,): sound, then silence if there is less."""
        block = np.zeros(count, np.int16)
        marks: list[Mark] = []
        filled = 0
        with self._lock:
            while filled < count and self._queue:
                reply, sound = self._queue.popleft()
                taken = min(count - filled, len(sound))
                block[filled : filled + taken] = sound[:taken]
                filled += taken
                reply.played += taken
                if taken < len(sound):
                    self._queue.appendleft((reply, sound[taken:]))
                ms = self._ms(reply)
                # Dry: the brain takes a mark of all that it sent for the end of the reply.
                if ms - reply.marked_ms >= MARK_MS or (not self._queue and ms > reply.marked_ms):
                    reply.marked_ms = ms
                    marks.append(Mark(reply.reply_id, ms))
            marks += self._ended_marks()
        self._tell(marks)
        return block

    def flush(self) -> int:
        """Drop what waits, for good. Returns how many milliseconds of sound were dropped."""
        with self._lock:
            dropped = sum(len(sound) for _reply, sound in self._queue)
            self._queue.clear()
            marks = [Mark(r.reply_id, self._ms(r)) for r in self._replies.values()]
            self._dropped_to = max([self._dropped_to, *self._replies])
            self._replies.clear()
        self._tell(marks)
        return dropped * 1000 // self.rate

    def reset(self) -> None:
        """A new session: replies of the one before have ended, and their numbers may come again."""
        with self._lock:
            self._queue.clear()
            self._replies.clear()
            self._dropped_to = -1

    def _append(self, reply: _Reply, sound: PCM) -> None:
        if len(sound):
            self._queue.append((reply, sound))

    def _ms(self, reply: _Reply) -> int:
        return reply.played * 1000 // self.rate

    def _ended_marks(self) -> list[Mark]:
        """The last marks of replies that have ended and come out whole; those are forgotten."""
        waiting = {reply.reply_id for reply, _sound in self._queue}
        over = [r for r in self._replies.values() if r.ended and r.reply_id not in waiting]
        for reply in over:
            del self._replies[reply.reply_id]
            self._dropped_to = max(self._dropped_to, reply.reply_id)
        return [Mark(r.reply_id, ms) for r in over if (ms := self._ms(r)) > r.marked_ms]

    def _tell(self, marks: list[Mark]) -> None:
        for mark in marks:
            self._on_mark(mark)
