"""One lane an engine: who may use it, how long it may take, and what it has done.

A lane is a port around a port. Its callers are supervised from the outside: an engine that makes no
progress within its deadline is cancelled, and one that doesn't let go after that is given up on,
whatever it is doing, so that its owner (`brain.engines.ladder`) can put another in its place.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from brain.engines.admission import Admission, AdmissionLimits, Grant
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineTimeout,
    EngineUnavailable,
    Ticket,
)
from brain.engines.steps import look_at, next_item

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Closable(Protocol):
    """What every engine port but the detector is."""

    @property
    def info(self) -> EngineInfo: ...

    async def close(self) -> None: ...


E = TypeVar("E", bound=Closable)


@dataclass(frozen=True)
class LaneLimits:
    """How many may come, and how long the engine may take: `first_s` to the first item, `next_s`
    between items, and `grace_s` to let go once it is cancelled."""

    admission: AdmissionLimits = field(default_factory=AdmissionLimits)
    first_s: float = 20.0
    next_s: float = 20.0
    grace_s: float = 2.0


@dataclass
class LaneCounters:
    """Since the start. `shed`: sent away without having been served; `cancelled` includes those
    evicted; `busy_s` is the time at the engine, `queue_s` the time before it, summed over calls."""

    started: int = 0
    completed: int = 0
    cancelled: int = 0
    evicted: int = 0
    failed: int = 0
    timed_out: int = 0
    shed: int = 0
    busy_s: float = 0.0
    queue_s: float = 0.0


@dataclass(eq=False)
class _Call(Generic[T]):
    """One use of the engine. `items`: an item (True), or the end and its error (False). `due`: when
    it must have gone on or been given up, by the loop's clock."""

    token: CancelToken
    stopped: asyncio.Future[None]
    items: asyncio.Queue[tuple[bool, T | EngineError | None]] = field(default_factory=asyncio.Queue)
    over: bool = False
    due: float = math.inf

    def end(self, error: EngineError | None = None) -> bool:
        """Tell the caller the end; False if it has been told."""
        if self.over:
            return False
        self.over = True
        self.items.put_nowait((False, error))
        return True


class Lane(Generic[E]):
    """Admits callers to `engine` and supervises them.

    `given_up` is called once, with the reason, when the engine hangs; from then on the lane raises
    `EngineUnavailable`.
    """

    def __init__(
        self,
        engine: E,
        limits: LaneLimits | None = None,
        *,
        given_up: Callable[[str], None] | None = None,
    ) -> None:
        self.engine = engine
        self._limits = limits or LaneLimits()
        self._admission = Admission(self._limits.admission)
        self._given_up = given_up
        self._gone = ""
        self._calls: dict[asyncio.Task[None], _Call[Any]] = {}
        self._counters = LaneCounters()

    @property
    def counters(self) -> LaneCounters:
        """A copy of the counters as they are now."""
        return replace(self._counters)

    @property
    def inflight(self) -> int:
        """Calls at the engine now."""
        return self._admission.inflight

    @property
    def overdue(self) -> bool:
        """Whether a call has neither gone on nor been given up in its time, grace included."""
        if not self._calls:
            return False
        now = asyncio.get_running_loop().time()
        return any(now > call.due for call in self._calls.values())

    async def stream(
        self, ticket: Ticket, begin: Callable[[Ticket], AsyncGenerator[T, None]]
    ) -> AsyncGenerator[T, None]:
        """What `begin` gives, under this lane's rules. It gets a ticket with a token of its own.

        The engine goes at its own pace, whatever the consumer's, and is free for the next caller
        as soon as it is done. Closing this iterator cancels. Raises any `EngineError`.
        """
        self._raise_if_gone()
        grant = await self._admit(ticket)
        loop = asyncio.get_running_loop()
        call: _Call[T] = _Call(CancelToken(), loop.create_future())

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, call.stopped)

        call.token.on_cancel(stop)
        ticket.cancel.on_cancel(call.token.cancel)
        grant.evict.on_cancel(call.token.cancel)
        self._counters.started += 1
        task = asyncio.ensure_future(self._supervise(grant, call, begin))
        self._calls[task] = call
        task.add_done_callback(self._calls.pop)
        try:
            while True:
                more, item = await call.items.get()
                if not more:
                    if item is not None:
                        raise item  # type: ignore[misc]
                    return
                # (The engine is ahead: this was made before the cancel, perhaps long before.)
                ticket.cancel.raise_if_cancelled()
                yield item  # type: ignore[misc]
        finally:
            call.token.cancel()

    async def close(self) -> None:
        """Cancel all calls, wait for them within the grace time, and close the engine."""
        self._gone = self._gone or "The engine is closed."
        for call in list(self._calls.values()):
            # (It wasn't the caller who cancelled: another engine may answer in its stead.)
            call.end(EngineUnavailable(self._gone))
            call.token.cancel()
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=self._limits.grace_s * 2)
        await self.engine.close()

    async def _admit(self, ticket: Ticket) -> Grant:
        clock = asyncio.get_running_loop().time
        since = clock()
        try:
            grant = await self._admission.acquire(ticket)
        except EngineBusy:
            self._counters.shed += 1
            raise
        except Cancelled:
            self._counters.cancelled += 1
            raise
        finally:
            self._counters.queue_s += clock() - since
        try:
            self._raise_if_gone()
        except EngineUnavailable:
            self._admission.release(grant)
            raise
        return grant

    def _raise_if_gone(self) -> None:
        if self._gone:
            raise EngineUnavailable(self._gone)

    async def _supervise(
        self, grant: Grant, call: _Call[T], begin: Callable[[Ticket], AsyncGenerator[T, None]]
    ) -> None:
        clock = asyncio.get_running_loop().time
        ticket = replace(grant.ticket, cancel=call.token)
        try:
            error = await self._follow(call, begin(ticket))
            if isinstance(error, Cancelled):
                self._counters.cancelled += 1
                self._counters.evicted += grant.evict.cancelled
            elif isinstance(error, EngineTimeout):
                self._counters.timed_out += 1
            elif error is not None:
                self._counters.failed += 1
            else:
                self._counters.completed += 1
            call.end(error)
        finally:
            # (Also when this task is cancelled, at the end of the process.)
            call.end(Cancelled("cancelled"))
            self._counters.busy_s += clock() - grant.since
            self._admission.release(grant)

    async def _follow(self, call: _Call[T], items: AsyncGenerator[T, None]) -> EngineError | None:
        """Pass on what comes until it ends; the error with which it did. Deadlines are kept."""
        patience = self._limits.first_s
        while True:
            call.due = self._due(patience)
            step = asyncio.ensure_future(next_item(items))
            step.add_done_callback(look_at)
            either: set[asyncio.Future[Any]] = {step, call.stopped}
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if call.stopped.done():
                return await self._let_go(call, step, items, Cancelled("cancelled"))
            if not step.done():
                late = EngineTimeout(f"The engine made no progress for {patience:g} s.")
                call.token.cancel()
                return await self._let_go(call, step, items, late)
            try:
                taken = step.result()
            except EngineError as error:
                return error
            except Exception as error:  # noqa: BLE001 - an engine may raise anything; told as failed
                _log.exception("An engine raised what it should not.")
                return EngineFailed(f"The engine failed: {type(error).__name__}: {error}")
            if not taken:
                return None
            call.items.put_nowait((True, taken[0]))
            patience = self._limits.next_s

    async def _let_go(
        self,
        call: _Call[T],
        step: asyncio.Future[tuple[T, ...]],
        items: AsyncGenerator[T, None],
        error: EngineError,
    ) -> EngineError:
        """The engine was told to stop: the caller hears so at once, the engine has its time."""
        call.end(error)
        call.due = self._due(0.0)
        await asyncio.wait({step}, timeout=self._limits.grace_s)
        if not step.done():
            step.cancel()
            self._give_up("The engine hung and is being replaced: try again in a moment.")
        elif step.exception() is None:
            closing = asyncio.ensure_future(items.aclose())
            await asyncio.wait({closing}, timeout=self._limits.grace_s)
        return error

    def _due(self, patience: float) -> float:
        # (Twice: for the step, and for what then closes it; and a second for a busy loop.)
        return asyncio.get_running_loop().time() + patience + 2 * self._limits.grace_s + 1.0

    def _give_up(self, reason: str) -> None:
        if self._gone:
            return
        self._gone = reason
        _log.error("The engine %s hangs: it doesn't heed its cancel.", self.engine.info.name)
        if self._given_up is not None:
            self._given_up(reason)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
