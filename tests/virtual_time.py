"""An asyncio loop on virtual time: sleeping costs nothing, and timings come out exactly."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Returns at once and moves the clock, where a selector would wait for a timer."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.now = 0.0
        self._patience = patience

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            # Nothing is due: only another thread can wake this loop.
            ready = super().select(self._patience)
            if not ready:
                raise RuntimeError("deadlock: nothing is due and nothing is ready")
            return ready
        ready = super().select(0)
        if not ready:
            self.now += max(timeout, 0.0)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0 s and jumps to the next timer when nothing is left to run.

    For code that waits with asyncio alone. A loop with nothing due waits `patience` real seconds
    for another thread and then raises RuntimeError, so a deadlock fails its test at once.
    """

    def __init__(self, patience: float = 5.0) -> None:
        self._jumping = _JumpingSelector(patience)
        super().__init__(self._jumping)
        # Timers may fall due a rounding error late, never early.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jumping.now


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on a `VirtualTimeLoop`; what is left over is cancelled and joined."""
    loop = VirtualTimeLoop()
    try:
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(main)
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
