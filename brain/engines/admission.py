"""Who may use an engine now, who waits, who is sent away, and who has to make room."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from brain.engines.ports import Cancelled, CancelToken, EngineBusy, Priority, Ticket


@dataclass(frozen=True)
class AdmissionLimits:
    """`inflight` at once; a reply waits `queue_s` at most, and at most `queue_length` do.

    A plan waits only for a speculation to let go, at most `eviction_s`; a speculation only for what
    was cancelled already, as long. A ticket that doesn't wait
    is sent away at once when more than `shed_beyond` others are at the engine or queue for it
    (None: when all places are taken); what was cancelled has `eviction_s` to let go and doesn't
    count. With `sheds_all` that holds for those that would wait, too. With `speculates_alone` a
    speculation is let in only where nobody else is, and goes when anybody comes.
    """

    inflight: int = 1
    queue_s: float = 5.0
    queue_length: int = 64
    eviction_s: float = 1.0
    shed_beyond: int | None = None
    sheds_all: bool = False
    speculates_alone: bool = False


@dataclass(eq=False)
class Grant:
    """A place at the engine. `evict` is set when a speculation has to make room."""

    ticket: Ticket
    since: float
    evict: CancelToken = field(default_factory=CancelToken)


@dataclass(eq=False)
class _Waiter:
    ticket: Ticket
    since: float
    granted: asyncio.Future[Grant]


class Admission:
    """Admits tickets: replies before plans before speculation, robots in turn within each.

    For one event loop.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = limits
        self._grants: set[Grant] = set()
        # By priority: the robots in the order in which they are served, each with its waiters.
        self._waiting: dict[Priority, OrderedDict[str, deque[_Waiter]]] = {
            priority: OrderedDict() for priority in Priority
        }

    @property
    def inflight(self) -> int:
        """How many are at the engine."""
        return len(self._grants)

    @property
    def queued(self) -> int:
        """How many wait."""
        return sum(len(w) for robots in self._waiting.values() for w in robots.values())

    async def acquire(self, ticket: Ticket) -> Grant:
        """A place at the engine, to be given back with `release`.

        Raises `EngineBusy` and `Cancelled`.
        """
        ticket.cancel.raise_if_cancelled()
        loop = asyncio.get_running_loop()
        sheds = self._limits.sheds_all or not ticket.waits
        if sheds and self._here > self._threshold:
            raise EngineBusy("The engine is busy: try again in a moment.")
        if self._limits.speculates_alone:
            if ticket.rank is Priority.SPECULATION and (self.inflight or self.queued):
                raise EngineBusy("The engine is busy: a guess is for when it isn't.")
            self._evict_all()
        if self.inflight < self._limits.inflight and not self.queued:
            return self._grant(ticket)
        rank = ticket.rank
        patience = self._patience(rank, sheds=sheds)
        if patience <= 0:
            raise EngineBusy("The engine is busy: try again in a moment.")
        waiter = _Waiter(ticket, loop.time(), loop.create_future())
        robots = self._waiting[rank]
        robots.setdefault(ticket.robot, deque()).append(waiter)

        def give_up() -> None:
            if not waiter.granted.done():
                waiter.granted.set_exception(Cancelled("cancelled"))
                self._leave_queue(waiter)

        def cancelled() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(give_up)

        ticket.cancel.on_cancel(cancelled)
        self._make_room()
        try:
            done, _ = await asyncio.wait({waiter.granted}, timeout=patience)
        except asyncio.CancelledError:
            self._forget(waiter)
            raise
        if not done:
            self._forget(waiter)
            if ticket.rank < rank:  # it has come true, and waits as what it is now
                return await self.acquire(ticket)
            raise EngineBusy(f"The engine was busy for {patience:g} s: try again in a moment.")
        return waiter.granted.result()

    def release(self, grant: Grant) -> None:
        """Give a place back; the next in order gets it. Twice is the same as once."""
        self._grants.discard(grant)
        self._serve()

    @property
    def _here(self) -> int:
        """How many are at the engine or wait, without those that are letting go of it."""
        return self.queued + sum(not grant.ticket.cancel.cancelled for grant in self._grants)

    @property
    def _threshold(self) -> int:
        """How many may be here before a ticket that sheds is sent away."""
        beyond = self._limits.shed_beyond
        return self._limits.inflight - 1 if beyond is None else beyond

    def _patience(self, priority: Priority, *, sheds: bool) -> float:
        """How long a ticket may wait now, s; 0: not at all. `sheds`: it is within the threshold,
        or it would have been sent away."""
        if priority is Priority.SPECULATION:
            return self._limits.eviction_s if self._room_is_being_made else 0.0
        if sheds and self._here < self._limits.inflight:
            return self._limits.eviction_s
        if priority is Priority.REPLY or sheds:
            return self._limits.queue_s if self.queued < self._limits.queue_length else 0.0
        leaving = sum(g.ticket.rank is Priority.SPECULATION for g in self._grants)
        free = self._limits.inflight - self.inflight
        return self._limits.eviction_s if leaving + free > self._queued_in_earnest else 0.0

    @property
    def _room_is_being_made(self) -> bool:
        """Whether somebody is letting go whose place nobody waits for."""
        leaving = sum(g.ticket.cancel.cancelled and not g.evict.cancelled for g in self._grants)
        free = self._limits.inflight - self.inflight
        return leaving + free > self.queued

    @property
    def _queued_in_earnest(self) -> int:
        """How many wait who aren't guessing."""
        guesses = self._waiting[Priority.SPECULATION].values()
        return self.queued - sum(len(waiters) for waiters in guesses)

    def _grant(self, ticket: Ticket) -> Grant:
        grant = Grant(ticket, asyncio.get_running_loop().time())
        self._grants.add(grant)
        return grant

    def _make_room(self) -> None:
        """One speculation has to go for each that waits, the latest first."""
        speculating = [g for g in self._grants if g.ticket.rank is Priority.SPECULATION]
        leaving = sum(grant.evict.cancelled for grant in speculating)
        staying = [grant for grant in speculating if not grant.evict.cancelled]
        staying.sort(key=lambda grant: grant.since)
        while staying and leaving < self._queued_in_earnest:
            staying.pop().evict.cancel()
            leaving += 1

    def _evict_all(self) -> None:
        for grant in self._grants:
            if grant.ticket.rank is Priority.SPECULATION:
                grant.evict.cancel()

    def _serve(self) -> None:
        while self.inflight < self._limits.inflight:
            waiter = self._next()
            if waiter is None:
                return
            waiter.granted.set_result(self._grant(waiter.ticket))

    def _next(self) -> _Waiter | None:
        for priority in Priority:
            robots = self._waiting[priority]
            if robots:
                robot, waiters = robots.popitem(last=False)
                waiter = waiters.popleft()
                if waiters:
                    robots[robot] = waiters
                return waiter
        return None

    def _forget(self, waiter: _Waiter) -> None:
        """A waiter that gave up is out of the queue, and a place given to it is not lost."""
        if waiter.granted.done() and waiter.granted.exception() is None:
            self.release(waiter.granted.result())
        waiter.granted.cancel()
        self._leave_queue(waiter)

    def _leave_queue(self, waiter: _Waiter) -> None:
        robots = self._waiting[waiter.ticket.rank]
        waiters = robots.get(waiter.ticket.robot)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del robots[waiter.ticket.robot]
