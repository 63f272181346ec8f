"""Looks after the servers of a pool, in the background, so that no robot's call ever does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Generic, TypeVar

from brain.engines.lane import Closable
from brain.engines.looking import PROBE_AGAIN_S, PROBE_S, probed
from brain.engines.one_line import one_line
from brain.engines.ports import EngineError
from brain.engines.remote.endpoint import Endpoint, Served

_log = logging.getLogger(__name__)

E = TypeVar("E", bound=Closable)

COMPANY_S = 1.0
"""At the start the others have so long to come, too, once the first is there."""


class Tending(Generic[E]):
    """Has each server tried out, looked at every few seconds, and tried out again once it was out
    of service. `chance` gives numbers in 0..1: many brains don't look at the same time."""

    def __init__(self, endpoints: Sequence[Endpoint[E]], chance: Callable[[], float]) -> None:
        self._endpoints = endpoints
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()
        self._retired: set[Served[E]] = set()
        self._closed = False

    async def start(self) -> None:
        """Try all of them; returns soon after one is up, or when none can be had. From then on
        each is looked after."""
        trials = [self._spawn(self._try_out(endpoint)) for endpoint in self._endpoints]
        waiting = set(trials)
        while waiting:
            patience = COMPANY_S if any(endpoint.up for endpoint in self._endpoints) else None
            done, waiting = await asyncio.wait(
                waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
        for endpoint, trial in zip(self._endpoints, trials, strict=True):
            self._spawn(self._look_after(endpoint, trial))

    def out(self, endpoint: Endpoint[E], reason: str) -> None:
        """A call of it told that it isn't there."""
        if endpoint.breaker.closed:
            endpoint.breaker.gone(_now(), reason)
            self._tell(endpoint)

    def failed(self, endpoint: Endpoint[E], reason: str) -> None:
        """A call of it failed through its fault."""
        if endpoint.breaker.closed:
            endpoint.breaker.failed(_now(), reason)
            if not endpoint.breaker.closed:
                self._tell(endpoint)

    def left(self, served: Served[E]) -> None:
        """A call of this engine is over."""
        if served.retired and not served.calls and not self._closed:
            self._spawn(self._free(served))

    async def close(self) -> None:
        """End what goes on, and close all engines."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        served = [*self._retired]
        served += [e.served for e in self._endpoints if e.served is not None]
        await asyncio.gather(*(one.engine.close() for one in served))

    async def _look_after(self, endpoint: Endpoint[E], trial: asyncio.Task[None]) -> None:
        await asyncio.wait({trial})
        # (Before Python 3.12 `wait_for` loses a cancel that comes as the probe ends.)
        while not self._closed:
            rest = PROBE_S * (0.75 + self._chance() / 2)
            if not endpoint.breaker.closed:
                rest = min(rest, max(0.0, endpoint.breaker.until - _now()))
            await asyncio.sleep(rest)
            await self._look(endpoint)

    async def _look(self, endpoint: Endpoint[E]) -> None:
        breaker, probe = endpoint.breaker, endpoint.server.probe
        if breaker.closed:
            reason = await probed(probe, again=False)
            if reason:
                await asyncio.sleep(PROBE_AGAIN_S)
                reason = await probed(probe, again=True)
            if reason:
                self.out(endpoint, reason)
        elif breaker.due(_now()):
            reason = await probed(probe, again=True)
            if reason:
                breaker.still_gone(_now(), reason)
            else:
                await self._try_out(endpoint)

    async def _try_out(self, endpoint: Endpoint[E]) -> None:
        """A new engine each time: the server may have another model since."""
        place, told = endpoint.server.place, endpoint.breaker.reason
        endpoint.breaker.try_out()
        try:
            engine = await endpoint.server.build()
        except EngineError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the others serve
            reason = f"{place} failed: {type(error).__name__}: {one_line(str(error))}"
        else:
            before, endpoint.served = endpoint.served, Served(engine)
            endpoint.breaker.passed(_now())
            _log.info("%s (%s) is in service.", place, engine.info.model)
            if before is not None:
                before.retired = True
                self._retired.add(before)
                self.left(before)
            return
        endpoint.breaker.flunked(_now(), reason)
        if reason != told:
            self._tell(endpoint)

    def _tell(self, endpoint: Endpoint[E]) -> None:
        endpoint.counters.opened += 1
        up = sum(one.up for one in self._endpoints)
        count = len(self._endpoints)
        if count > 1:
            _log.warning(
                "%s is out of service (%d of %d are in): %s",
                endpoint.server.place, up, count, endpoint.breaker.reason,
            )  # fmt: skip

    async def _free(self, served: Served[E]) -> None:
        await served.engine.close()
        self._retired.discard(served)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _now() -> float:
    return asyncio.get_running_loop().time()
