"""Several servers of a kind that serve as one engine: the least loaded is asked, and another in its
stead if it fails before its answer has begun.

No robot waits for a look at a server (`tending`), and what was said once is never said again.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Generic, TypeVar

from brain.engines.lane import Closable, Lane
from brain.engines.ports import (
    CancelToken,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineTimeout,
    EngineUnavailable,
    Ticket,
)
from brain.engines.remote.breaker import Breaker
from brain.engines.remote.choice import choose
from brain.engines.remote.endpoint import BUSY_S, Endpoint, EndpointState, Served, Server
from brain.engines.remote.first_item import first_item
from brain.engines.remote.tending import Tending

T = TypeVar("T")
E = TypeVar("E", bound=Closable)

SHARES = 3
"""One server has a third of the time to the first item, so that there is time for two more."""
_WHOLE = 0.9
"""Of the lane's own time to the first item: the pool is done before."""
_ROBOTS = 4096
"""Of so many it is remembered which server had them last."""


class Pool(Generic[E]):
    """The servers. Made by `load`. For one event loop.

    A call's failure is a server's fault if another server then answers it, or if that server had
    begun to answer; if it fails everywhere, it may have been the question.
    """

    def __init__(
        self,
        servers: Sequence[Server[E]],
        *,
        first_s: float,
        sticks: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not servers:
            raise ValueError("a pool has at least one server")
        self._endpoints = [Endpoint(server, Breaker(chance)) for server in servers]
        self._tending = Tending(self._endpoints, chance)
        self._first_s = first_s
        self._sticks = sticks
        self._turn = 0
        self._last: OrderedDict[str, Endpoint[E]] = OrderedDict()
        self._closed = False

    @classmethod
    async def load(
        cls,
        servers: Sequence[Server[E]],
        *,
        first_s: float,
        sticks: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> Pool[E]:
        """Reach the servers; one is enough, the others may come later.

        `first_s`: how long a call may wait for its first item, whichever server it comes from.
        `sticks`: a robot rather stays with the server that knows its conversation. `chance` gives
        numbers in 0..1. Raises `EngineUnavailable` if none is there.
        """
        pool = cls(servers, first_s=first_s, sticks=sticks, chance=chance)
        try:
            await pool._tending.start()
            if not pool._usable(()):
                raise EngineUnavailable(pool._why_none())
        except BaseException:
            await pool.close()
            raise
        return pool

    @property
    def engine(self) -> E:
        """That of the first server that is up, or that ever was."""
        ever = [e for e in self._endpoints if e.served is not None]
        for endpoint in sorted(ever, key=lambda e: not e.up):
            assert endpoint.served is not None
            return endpoint.served.engine
        raise EngineUnavailable(self._why_none())

    def next_for(self, robot: str) -> E:
        """That of the server that `robot` would be sent to now. Raises `EngineUnavailable`."""
        if not (usable := self._usable(())):
            raise self._verdict([])
        served = self._best(usable, robot).served
        assert served is not None
        return served.engine

    @property
    def info(self) -> EngineInfo:
        """Of that engine."""
        return self.engine.info

    @property
    def endpoints(self) -> tuple[EndpointState, ...]:
        """How each server stands."""
        return tuple(endpoint.state for endpoint in self._endpoints)

    def counters(self) -> Mapping[str, Mapping[str, Any]]:
        """By the server's address: `EndpointCounters`, and how it stands."""
        return {endpoint.server.place: endpoint.account() for endpoint in self._endpoints}

    async def stream(
        self, ticket: Ticket, begin: Callable[[E, Ticket], AsyncGenerator[T, None]]
    ) -> AsyncGenerator[T, None]:
        """What `begin` gives at one server; at the next one if it fails before its first item.

        Raises `EngineUnavailable` only when no server is up any more; else as the ports do.
        """
        ticket.cancel.raise_if_cancelled()
        deadline = _now() + self._first_s * _WHOLE
        tried: list[tuple[Endpoint[E], EngineError]] = []
        while usable := self._usable([endpoint for endpoint, _ in tried]):
            patience = self._patience(deadline - _now(), len(tried), len(usable))
            if patience is not None and patience <= 0:
                break
            endpoint = self._chosen(usable, ticket.robot)
            served, begun, began = self._enter(endpoint), False, _now()
            token = CancelToken()
            ticket.cancel.on_cancel(token.cancel)
            try:
                items = begin(served.engine, replace(ticket, cancel=token))
                async with aclosing(items):
                    first = await first_item(items, token, patience, endpoint.server.place)
                    self._answered(endpoint, ticket.robot, _now() - began, tried)
                    for item in first:
                        begun = True
                        yield item
                    async for item in items:
                        yield item
            except (EngineBusy, EngineFailed, EngineTimeout, EngineUnavailable) as error:
                if self._closed:
                    raise
                self._note(endpoint, error, begun=begun)
                if begun:
                    raise
                tried.append((endpoint, error))
            else:
                endpoint.counters.completed += 1
                return
            finally:
                self._leave(endpoint, served)
        raise self._verdict([error for _, error in tried])

    async def close(self) -> None:
        """Close the engines of all servers; calls under way end with `EngineUnavailable`."""
        self._closed = True
        await self._tending.close()

    # -- a call ---------------------------------------------------------------------------------

    def _usable(self, tried: Sequence[Endpoint[E]]) -> list[Endpoint[E]]:
        """Those that are up and weren't asked yet."""
        return [] if self._closed else [e for e in self._endpoints if e.up and e not in tried]

    def _patience(self, left: float, tried: int, usable: int) -> float | None:
        """How long a server has for its first item, s; None: as long as the lane lets it."""
        if len(self._endpoints) == 1:
            return None
        return left / max(1, min(SHARES - tried, usable))

    def _chosen(self, usable: Sequence[Endpoint[E]], robot: str) -> Endpoint[E]:
        best = self._best(usable, robot)
        self._turn += 1
        return best

    def _best(self, usable: Sequence[Endpoint[E]], robot: str) -> Endpoint[E]:
        now, own = _now(), self._last.get(robot)
        last = usable.index(own) if own is not None and own in usable else None
        index = choose([e.candidate(now) for e in usable], turn=self._turn, last=last)
        return usable[index]

    def _enter(self, endpoint: Endpoint[E]) -> Served[E]:
        served = endpoint.served
        assert served is not None
        endpoint.inflight += 1
        endpoint.counters.started += 1
        served.calls += 1
        return served

    def _leave(self, endpoint: Endpoint[E], served: Served[E]) -> None:
        endpoint.inflight -= 1
        served.calls -= 1
        self._tending.left(served)

    def _answered(
        self,
        endpoint: Endpoint[E],
        robot: str,
        latency_s: float,
        tried: Sequence[tuple[Endpoint[E], EngineError]],
    ) -> None:
        """The question can be answered, so those that couldn't are to blame."""
        endpoint.breaker.answered()
        endpoint.began_to_answer(_now(), latency_s)
        for other, error in tried:
            if isinstance(error, EngineTimeout):
                # One is enough: each more would cost somebody as long.
                self._tending.out(other, str(error))
            elif isinstance(error, EngineFailed):
                self._tending.failed(other, str(error))
        if self._sticks:
            self._last[robot] = endpoint
            self._last.move_to_end(robot)
            if len(self._last) > _ROBOTS:
                self._last.popitem(last=False)

    def _note(self, endpoint: Endpoint[E], error: EngineError, *, begun: bool) -> None:
        """A call failed there."""
        if isinstance(error, EngineBusy):
            endpoint.counters.refused += 1
            endpoint.busy_until = _now() + BUSY_S
        elif isinstance(error, EngineTimeout):
            endpoint.counters.late += 1
        else:
            endpoint.counters.failed += 1
        if isinstance(error, EngineUnavailable):
            self._tending.out(endpoint, str(error))
        elif begun:
            self._tending.failed(endpoint, str(error))

    # -- what is told ---------------------------------------------------------------------------

    def _verdict(self, errors: Sequence[EngineError]) -> EngineError:
        """The error of a call that no server answered."""
        if self._closed:
            return EngineUnavailable("The engine is closed.")
        if not any(endpoint.up for endpoint in self._endpoints):
            return EngineUnavailable(self._why_none())
        for kind in (EngineBusy, EngineFailed, EngineTimeout):
            for error in errors:
                if isinstance(error, kind):
                    return error
        return EngineTimeout("No server was reached in time: try again in a moment.")

    def _why_none(self) -> str:
        reasons = list(dict.fromkeys(e.breaker.reason for e in self._endpoints))
        if len(self._endpoints) == 1:
            return reasons[0]
        return f"None of the {len(self._endpoints)} servers serves. {' '.join(reasons)}"


def pool_behind(engine: object) -> Pool[Any] | None:
    """The pool behind an engine's lane, if there is one."""
    lane = getattr(engine, "lane", None)
    pool = getattr(lane.engine, "pool", None) if isinstance(lane, Lane) else None
    return pool if isinstance(pool, Pool) else None


def _now() -> float:
    return asyncio.get_running_loop().time()
