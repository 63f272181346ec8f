"""What the cases of every kind run on: one engine, loaded once for all the cases of its module.

To put an adapter through its kind's cases, add an `Adapter` to the list at the top of that kind's
module. `docs/engines.md` tells how.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from brain.engines.lane import Closable
from brain.engines.ports import Device

E = TypeVar("E", bound=Closable)
T = TypeVar("T")

PATIENCE_S = 20.0
"""What takes longer hangs. Many times what any case takes on a slow machine."""


@dataclass(frozen=True)
class Adapter(Generic[E]):
    """`name` and `device` are what its `info` must say. `place` prepares what it needs (a server,
    say), and gives the function that loads an engine there, as often as it is called. `variant`
    tells two of one name apart. `patience_s`: what takes longer hangs."""

    name: str
    device: Device
    place: Callable[[], AbstractAsyncContextManager[Callable[[], Awaitable[E]]]]
    variant: str = ""
    patience_s: float = PATIENCE_S

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


def here(
    load: Callable[[], Awaitable[E]],
) -> Callable[[], AbstractAsyncContextManager[Callable[[], Awaitable[E]]]]:
    """The place of an engine that needs nothing but this process."""

    @asynccontextmanager
    async def place() -> AsyncIterator[Callable[[], Awaitable[E]]]:
        yield load

    return place


class Bench(Generic[E]):
    """`engine` is loaded, and shared by the cases; `load` gives another."""

    def __init__(self, adapter: Adapter[E]) -> None:
        self.adapter = adapter
        self._loop = asyncio.new_event_loop()
        self._place = AsyncExitStack()
        self.load = self.run(self._place.enter_async_context(adapter.place()))
        self.engine: E = self.run(self.load())

    def run(self, work: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
        """The result of `work`; AssertionError if it hangs."""

        async def bounded() -> T:
            task = asyncio.ensure_future(work)
            patience_s = self.adapter.patience_s
            done, _ = await asyncio.wait({task}, timeout=patience_s)
            assert done, f"it hangs: not done in {patience_s:g} s"
            return task.result()

        return self._loop.run_until_complete(bounded())

    def close(self) -> None:
        """Close the engine, then what it stood on."""
        try:
            self.run(self.engine.close())
            self.run(self._place.aclose())
            self.run(self._loop.shutdown_asyncgens())
            self.run(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()


def threads() -> set[threading.Thread]:
    """Those of this process but asyncio's own pool, which lives as long as its loop."""
    return {t for t in threading.enumerate() if not t.name.startswith("asyncio_")}


def left_behind(before: set[threading.Thread]) -> list[str]:
    """Threads that were not there `before` and don't end."""
    new = threads() - before
    for thread in new:
        thread.join(2.0)
    return [thread.name for thread in new if thread.is_alive()]
