"""Reply sound for a player that swallows all that it is given: handed out as it is heard.

The Reachy app asks for sound as fast as it can and gives it to a player whose queue has no end.
Handed out at once, a reply would count as heard before it had begun, and what an interruption must
stop would be out of reach. So a clock stands in for the device: sound goes out a little ahead of
it, and is heard, as far as marks go, when the clock says that the player has come to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from robot_client.pacing import FRAME_MS
from robot_client.pcm import PCM
from robot_client.playback import Mark, Playback

# A clock's float, times a rate, may fall short of a whole sample by a hair.
_HAIR = 1e-3


class PacedSpeaker:
    """A `Playback` that is emptied by a clock, and sound handed out at most `lead_ms` ahead of it.

    `rate` is the player's, Hz. `on_mark` gets the marks of `Playback`, from within `take`, `end`
    and `flush`. Sound is played from the moment that it is handed out, or right after what was
    handed out before it. `clock` is in seconds and never goes back. Not thread-safe: for one event
    loop. Raises `ValueError` for a lead of less than a frame, which would never let one go.
    """

    def __init__(
        self,
        rate: int,
        on_mark: Callable[[Mark], None],
        *,
        lead_ms: float = 60,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if lead_ms < FRAME_MS:
            raise ValueError(f"a lead of {lead_ms} ms is less than a frame of {FRAME_MS} ms")
        self.rate = rate
        self._frame = rate * FRAME_MS // 1000
        self._lead = int(rate * lead_ms / 1000)
        self._clock = clock
        self._playback = Playback(rate, on_mark)  # holds all that wasn't heard yet
        self._player = _Player(rate)  # knows how much of it was handed out
        self._came_at = -math.inf  # the last sound, unless nothing comes after it

    @property
    def empty(self) -> bool:
        """Whether all that came has been heard, as far as `take` has looked."""
        return self._playback.empty

    @property
    def queued_ms(self) -> float:
        """Sound that hasn't been heard, as far as `take` has looked, with the player's share."""
        return self._playback.queued_ms

    def push(self, reply_id: int, pcm: PCM, sample_rate: int) -> None:
        """Sound of a reply at its own rate, Hz. Ignored if that reply was flushed."""
        self._came_at = self._clock()
        self._playback.push(reply_id, pcm, sample_rate)

    def end(self, reply_id: int) -> None:
        """Nothing more of this reply will come; its last mark follows its last sample."""
        self._came_at = -math.inf
        self._playback.end(reply_id)

    def take(self) -> PCM | None:
        """The next frame for the player, if its time has come, and the marks that are due.

        20 ms; shorter if no more has come and the player is about to fall silent. After a late
        call several frames may be due: the next calls give them. Call it at least every 100 ms,
        sound or no sound, or marks come late.
        """
        now = self._clock()
        self._hear(now)
        due = self._due()
        if due is None or due > now:
            return None
        if self._waiting < self._frame:
            self._playback.drain()
        frame = self._playback.peek(self._player.untold, self._frame)
        if not len(frame):
            return None
        self._player.give(len(frame), now)
        return frame

    def wait_s(self) -> float | None:
        """Until `take` will have a frame; None if nothing waits. Marks may be due sooner."""
        due = self._due()
        return None if due is None else max(0.0, due - self._clock())

    def flush(self) -> int:
        """Drop what waits and, by the clock, hasn't been heard. Returns milliseconds dropped.

        For a player that is emptied at the same time. The marks say what was heard by now.
        """
        self._hear(self._clock())
        self._player = _Player(self.rate)
        return self._playback.flush()

    def reset(self) -> None:
        """A new session: replies of the one before have ended, and their numbers may come again.

        What is with the player will be heard, and the next sound after it.
        """
        self._player = self._player.after()
        self._playback.reset()

    @property
    def _waiting(self) -> int:
        return self._playback.queued - self._player.untold

    def _due(self) -> float | None:
        """When the next frame is to be handed out; None if there isn't any."""
        waiting = self._waiting
        if waiting >= self._frame:
            return self._player.when_ahead(self._lead - self._frame)
        if not waiting and not self._playback.held:
            return None
        # Too little for a frame, and a resampler may have to be let out, which leaves a seam if
        # more comes: wait for more until the player is nearly dry, or for as long as a frame lasts
        # if that which is here has only just come.
        dry = self._player.when_ahead(min(self._frame, self._lead - self._frame))
        return dry if self._came_at <= dry else self._came_at + FRAME_MS / 1000

    def _hear(self, now: float) -> None:
        if heard := self._player.hear(now):
            self._playback.pull(heard)


class _Player:
    """What a player that queues all that it is given has played, by the clock. In samples."""

    def __init__(self, rate: int, begun: float = -math.inf) -> None:
        self._rate = rate
        self._begun = begun  # when it began, or will begin, to play without a gap
        self._given = 0  # since then
        self._told = 0  # of it, as played

    @property
    def untold(self) -> int:
        """How much `hear` hasn't told of yet."""
        return self._given - self._told

    def give(self, samples: int, now: float) -> None:
        """It gets more; if it has fallen silent, which `hear` has told of, it begins anew."""
        if not self.ahead(now):
            self._begun, self._given, self._told = now, 0, 0
        self._given += samples

    def hear(self, now: float) -> int:
        """How much it has played since it was asked last."""
        played = max(0, self._given - self.ahead(now))
        newly, self._told = played - self._told, played
        return newly

    def ahead(self, now: float) -> int:
        """How much it has yet to play."""
        played = (now - self._begun) * self._rate
        return 0 if played >= self._given else self._given - math.floor(played + _HAIR)

    def when_ahead(self, samples: int) -> float:
        """When it will have no more than this to play."""
        return self._begun + (self._given - samples - _HAIR) / self._rate

    def after(self) -> _Player:
        """One that begins when this one falls silent."""
        return _Player(self._rate, self.when_ahead(0))
