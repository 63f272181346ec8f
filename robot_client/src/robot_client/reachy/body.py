"""The body's share in a conversation: how it shows that it listens, and that it speaks."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from robot_client.messages import AudioDelta
from robot_client.pcm import Resampler, from_bytes, to_bytes

log = logging.getLogger(__name__)

WOBBLER_RATE = 24_000  # Hz; the app's head wobbler takes nothing else

MAX_FAULTS = 20  # that are told of: one with a new number in it each time may not fill the log

# The movement manager drops a toggle that comes within 0.15 s of the one before; if that was the
# end of listening, the antennas would stay frozen. It counts on its own thread's clock: hence more.
TOGGLE_S = 0.25

T = TypeVar("T")


class Careful:
    """Uses parts of the body; what fails is logged, once a fault, and never passed on.

    A robot whose neck is stuck, or that has none, can still listen and talk.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, part: str, use: Callable[[], T], otherwise: T) -> T:
        """What `use` returns, or `otherwise` if it fails."""
        try:
            return use()
        except Exception as error:  # the app's code and the robot's, which may raise anything
            fault = f"{part}: {error!r}"
            if fault not in self._known and len(self._known) < MAX_FAULTS:
                self._known.add(fault)
                log.warning("the robot's %s failed: %r", part, error, exc_info=True)
            return otherwise


class ListeningPose:
    """Tells the movement manager whether the robot listens, never faster than it can take it."""

    def __init__(self, movement_manager: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._manager = movement_manager
        self._clock = clock
        self._careful = Careful()
        self._wanted = False
        self._told = False
        self._told_at = -TOGGLE_S
        self._later: asyncio.TimerHandle | None = None

    def set(self, listening: bool) -> None:
        """Listen or don't; a quick change of mind is told late, the last one always."""
        self._wanted = listening
        if self._later is None:
            self._tell()

    def close(self) -> None:
        """Stop listening and forget what was to be told later."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._told:
            self._told = False
            self._tell_manager()

    def _tell(self) -> None:
        self._later = None
        if self._wanted == self._told:
            return
        wait = self._told_at + TOGGLE_S - self._clock()
        if wait > 0:
            self._later = asyncio.get_running_loop().call_later(wait, self._tell)
            return
        self._told, self._told_at = self._wanted, self._clock()
        self._tell_manager()

    def _tell_manager(self) -> None:
        told = self._told
        self._careful("listening pose", lambda: self._manager.set_listening(told), None)


class Wobble:
    """Feeds the head wobbler (None: there is none) with a reply's sound as it comes.

    The wobbler has a clock of its own that starts with the first sound after a reset; so it is
    fed ahead of the speaker, as the app does, and reset before each reply that follows a pause.
    """

    def __init__(self, wobbler: Any) -> None:
        self._wobbler = wobbler
        self._careful = Careful()
        self._reply_id: int | None = None
        self._resampler: Resampler | None = None

    def feed(self, delta: AudioDelta, *, silent: bool) -> None:
        """Sound of a reply; `silent`: the speaker had nothing left to play when it came."""
        if self._wobbler is None:
            return
        if delta.reply_id != self._reply_id:
            self._reply_id = delta.reply_id
            self._resampler = Resampler(delta.sample_rate, WOBBLER_RATE)
            if silent:
                self.reset()
        pcm = delta.pcm
        if delta.sample_rate != WOBBLER_RATE and self._resampler is not None:
            pcm = to_bytes(self._resampler.feed(from_bytes(pcm)))
        if pcm:
            sound = base64.b64encode(pcm).decode("ascii")
            self._careful("head wobbler", lambda: self._wobbler.feed(sound), None)

    def reset(self) -> None:
        """Hold the head still: what was to be said is not being said."""
        if self._wobbler is not None:
            self._careful("head wobbler", self._wobbler.reset, None)
