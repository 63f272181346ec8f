"""What is kept of a robot between its connections, and the port to what outlives the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from brain.dialogue.history import History
from brain.dialogue.pauses import Pauses
from brain.engines.ports import Message

# Numbers that are given out between two writes. A crash loses the last write's successors, and a
# number may never be given twice, so that what is written of a connected robot lies this far ahead.
_AHEAD = 50


@dataclass(frozen=True)
class Kept:
    """A robot's memory at one moment. Numbers up to these may have been given out."""

    messages: tuple[Message, ...]
    last_turn: int
    last_reply: int


@dataclass(frozen=True)
class Claim:
    """What a store knows of a robot whose session begins in this process.

    `ours`: what this process has of the robot is the newest there is, if it has anything; else
    `kept` is (None: nothing is kept of it). `above`: numbers up to this may have been given out
    by a process that can't be asked.
    """

    kept: Kept | None = None
    ours: bool = True
    above: int = 0


class MemoryStore(Protocol):
    """Outlives the process. Called on the event loop's thread: it returns at once, never raises."""

    async def claim(self, robot: str) -> Claim:
        """A session of this robot begins: whoever held it before writes no more.

        May take a second where the store is shared with other processes; never raises.
        """

    def keep(self, robot: str, kept: Kept, *, connected: bool) -> None:
        """This is the robot's memory from now on. While it is `connected` it doesn't age."""

    def forget(self, robot: str) -> None:
        """This process has nothing of this robot any more. Nor has a store that is its alone."""


@dataclass
class RobotMemory:
    """What is kept of a robot between its connections.

    `write` takes it to where it outlives the process, if there is such a place. `pauses` stay in
    the process.
    """

    history: History
    last_turn: int = 0
    last_reply: int = 0
    write: Callable[[Kept, bool], None] | None = None
    pauses: Pauses = field(default_factory=Pauses)
    connected: bool = field(default=False, init=False)
    _written: tuple[int, int] = field(default=(0, 0), init=False)
    _messages: tuple[Message, ...] = field(default=(), init=False)

    def opened(self) -> None:
        """A session has begun."""
        self.connected = True
        self.keep()

    def closed(self) -> None:
        """The session has ended; the numbers need no room any more."""
        self.connected = False
        self.keep()

    def rise(self, above: int) -> None:
        """Give out no number up to this one."""
        self.last_turn, self.last_reply = max(self.last_turn, above), max(self.last_reply, above)

    def count(self, last_turn: int, last_reply: int) -> None:
        """The numbers of the newest turn and reply; written before their room is used up."""
        self.last_turn, self.last_reply = last_turn, last_reply
        turn, reply = self._written
        if self.connected and max(last_turn - turn, last_reply - reply) > _AHEAD // 2:
            self.keep()

    def replied(self) -> None:
        """A reply has ended: written if anything was said. (What an idle robot does isn't.)"""
        if self.history.snapshot() != self._messages:
            self.keep()

    def keep(self) -> None:
        """Write it down as it stands now."""
        if self.write is None:
            return
        self._written = (self.last_turn, self.last_reply)
        self._messages = self.history.snapshot()
        ahead = _AHEAD if self.connected else 0
        kept = Kept(self._messages, self.last_turn + ahead, self.last_reply + ahead)
        self.write(kept, self.connected)
