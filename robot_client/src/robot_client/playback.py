"""The queue between the brain's sound and the speaker, and how much has come out. Pure.

The brain keeps in its history only what was heard, so a mark must say neither more nor less than
what has been handed to the device: they are counted in samples, here, where they are handed over.
The brain ends a reply when a mark says that all of it was heard, so a resampler may not sit on the
last milliseconds until that end: when the queue runs dry they are let out.
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

    @property
    def held(self) -> int:
        return 0 if self.resampler is None else self.resampler.held


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
            return not self._queue and not self._held()

    @property
    def queued(self) -> int:
        """Samples at the device's rate that wait for the device, less what `drain` would add."""
        with self._lock:
            return self._queued()

    @property
    def held(self) -> int:
        """Samples at the device's rate that `drain` would add to those that wait."""
        with self._lock:
            return self._held()

    @property
    def queued_ms(self) -> float:
        """Sound that waits for the device."""
        with self._lock:
            return (self._queued() + self._held()) * 1000 / self.rate

    def push(self, reply_id: int, pcm: PCM, sample_rate: int) -> None:
        """Sound of a reply at its own rate, Hz. Ignored if that reply was flushed."""
        with self._lock:
            if 0 < reply_id <= self._dropped_to:  # 0: a brain that doesn't number its replies
                return
            if reply_id not in self._replies:
                self._let_all_out()  # what is left of others comes before it
            reply = self._replies.setdefault(reply_id, _Reply(reply_id))
            if reply.resampler is None or reply.resampler.from_rate != sample_rate:
                self._let_out(reply)
                reply.resampler = Resampler(sample_rate, self.rate)
            self._append(reply, reply.resampler.feed(pcm))

    def end(self, reply_id: int) -> None:
        """Nothing more of this reply will come; its last mark follows its last sample."""
        with self._lock:
            reply = self._replies.get(reply_id)
            if reply is None or reply.ended:
                return
            reply.ended = True
            self._let_out(reply)
            marks = self._ended_marks()
        self._tell(marks)

    def pull(self, count: int) -> PCM:
        """The next block for the device, shape (count,): sound, then silence if there is less."""
        block = np.zeros(count, np.int16)
        filled = 0
        touched: dict[int, _Reply] = {}
        with self._lock:
            while filled < count and self._ready():
                reply, sound = self._queue.popleft()
                taken = min(count - filled, len(sound))
                block[filled : filled + taken] = sound[:taken]
                filled += taken
                reply.played += taken
                touched[reply.reply_id] = reply
                if taken < len(sound):
                    self._queue.appendleft((reply, sound[taken:]))
            marks = [mark for reply in touched.values() if (mark := self._due(reply)) is not None]
            marks += self._ended_marks()
        self._tell(marks)
        return block

    def peek(self, start: int, count: int) -> PCM:
        """What `pull` would give after `start` samples, shape (count,) or shorter; it stays."""
        pieces: list[PCM] = []
        with self._lock:
            for _reply, sound in self._queue:
                if count <= 0:
                    break
                piece = sound[start : start + count]
                start = max(0, start - len(sound))
                count -= len(piece)
                pieces.append(piece)
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    def drain(self) -> None:
        """The sound that has come so far is all that can be counted on: hold none of it back.

        What comes later of the same reply is a new stream to its resampler, so this is for when
        the device is about to fall silent, and there is a seam anyway.
        """
        with self._lock:
            self._let_all_out()

    def flush(self) -> int:
        """Drop what waits, for good. Returns how many milliseconds of sound were dropped."""
        with self._lock:
            dropped = self._queued() + self._held()
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

    def _queued(self) -> int:
        return sum(len(sound) for _reply, sound in self._queue)

    def _held(self) -> int:
        return sum(reply.held for reply in self._replies.values())

    def _ready(self) -> bool:
        """Whether there is anything to hand over, be it the last that there is."""
        if not self._queue:
            self._let_all_out()
        return bool(self._queue)

    def _let_all_out(self) -> None:
        for reply in self._replies.values():
            self._let_out(reply)

    def _let_out(self, reply: _Reply) -> None:
        if reply.resampler is not None and reply.held:
            self._append(reply, reply.resampler.feed(np.zeros(0, np.int16), last=True))

    def _append(self, reply: _Reply, sound: PCM) -> None:
        if len(sound):
            self._queue.append((reply, sound))

    def _ms(self, reply: _Reply) -> int:
        return reply.played * 1000 // self.rate

    def _due(self, reply: _Reply) -> Mark | None:
        """The mark of a reply that has just been pulled from, if it is time for one."""
        ms = self._ms(reply)
        # Dry: the brain takes a mark of all that it sent for the end of the reply.
        dry = not self._queue or self._queue[0][0] is not reply
        if ms - reply.marked_ms < MARK_MS and not (dry and ms > reply.marked_ms):
            return None
        reply.marked_ms = ms
        return Mark(reply.reply_id, ms)

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
