"""How much of the ears' time partial transcripts may take, of all robots together: half.

What is heard on a guess keeps the ears from nobody who needs them (it goes last, and is sent away
for anyone), but on a computer of two cores it keeps everything else waiting. So each owes as long a
rest as it took, and only when nothing is owed is the next one begun. A user who falls silent is
worth a debt, once: if what was heard last is still owed, the whole may be heard all the same, and
then both are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from brain.engines.ports import Ticket

_WINDOW_S = 10.0
# A robot that hasn't asked again after so long has nothing to be heard: frames are 32 ms apart.
_FORGOTTEN_S = 0.25
_SOON_S = 0.15
_EPSILON_S = 1e-6


@dataclass
class PartialCounters:
    """Since the start, of all robots. `begun`, of which `heard` were heard to their end, and
    `taken_over` were all of their turn. `busy_ms`: what they took of the ears' time;
    `most_of_10_s`: the greatest share of it (0..1) in any 10 s."""

    begun: int = 0
    heard: int = 0
    taken_over: int = 0
    busy_ms: float = 0.0
    most_of_10_s: float = 0.0


@dataclass
class _Running:
    """`owed`: what was owed as it began, s. `wanted`: by now it is more than a partial."""

    ticket: Ticket
    began_at: float
    owed: float
    wanted: bool = False


class Duty:
    """Who may hear a partial transcript now. Shared by all sessions of the house; for the event
    loop's thread. Times in seconds of the loop's clock."""

    def __init__(self) -> None:
        self.counters = PartialCounters()
        self._running: _Running | None = None
        self._clear_at = 0.0
        self._last = 0.0
        self._line: dict[str, float] = {}
        self._spans: deque[tuple[float, float]] = deque()

    def account(self) -> dict[str, Any]:
        """The counters, as `/health` tells of them."""
        told = asdict(self.counters)
        told["busy_ms"] = round(self.counters.busy_ms, 1)
        told["most_of_10_s"] = round(self.counters.most_of_10_s, 3)
        return told

    def admits(self, robot: str, *, pausing: bool) -> bool:
        """Whether this robot may begin one now. Who is told no asks again with its next frame:
        those who have asked longest go first. `pausing`: its user has fallen silent."""
        now = _now()
        owed = self._clear_at - now
        if pausing:
            return self._running is None and owed <= self._last + _EPSILON_S
        self._line[robot] = now
        if self._running is not None or owed > _EPSILON_S:
            return False
        for first, asked_at in list(self._line.items()):
            if now - asked_at <= _FORGOTTEN_S:
                break
            del self._line[first]
        if first != robot:
            return False
        del self._line[robot]
        return True

    def began(self, ticket: Ticket) -> None:
        """One begins: it was admitted."""
        now = _now()
        self.counters.begun += 1
        self._running = _Running(ticket, now, max(0.0, self._clear_at - now))

    def ended(self, ticket: Ticket, *, heard: bool) -> None:
        """It is over. `heard`: to its end."""
        running = self._running
        if running is None or running.ticket is not ticket:
            return
        now = _now()
        took = now - running.began_at
        self._running = None
        # (Engines may take their time to let go of what was cancelled: as long as to do it.)
        owes = took if heard else max(took, self._last)
        self._last = owes
        self._clear_at = now + running.owed + owes
        self.counters.heard += heard
        self.counters.busy_ms += took * 1000
        self._measure(running.began_at, now)

    def taken_over(self, ticket: Ticket) -> None:
        """This one is all of its turn: nobody sends it away."""
        self.counters.taken_over += 1
        if self._running is not None and self._running.ticket is ticket:
            self._running.wanted = True

    def make_way(self, robot: str) -> None:
        """A whole turn of this robot is to be heard: what is under way goes, unless it is a part of
        that very turn, and soon done if it takes as long as the last one."""
        running = self._running
        if running is None or running.wanted:
            return
        left = running.began_at + self._last - _now()
        soon = self._last > 0 and abs(left) <= _SOON_S
        if running.ticket.robot != robot or not soon:
            running.ticket.cancel.cancel()

    def _measure(self, began_at: float, ended_at: float) -> None:
        self._spans.append((began_at, ended_at))
        since = ended_at - _WINDOW_S
        while self._spans[0][1] <= since:
            self._spans.popleft()
        busy = sum(end - max(start, since) for start, end in self._spans)
        self.counters.most_of_10_s = max(self.counters.most_of_10_s, busy / _WINDOW_S)


def _now() -> float:
    return asyncio.get_running_loop().time()
