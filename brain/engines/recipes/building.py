"""What the building of all engines shares: where the embedded models lie, warming, threads."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from brain.engines.lane import Closable
from brain.engines.ports import EngineTimeout, EngineUnavailable
from brain.settings import Settings

E = TypeVar("E", bound=Closable)

POCKET = Path(__file__).parents[2] / "pocket"
EMBEDDED = "pocket"
WARM_UP = "warm-up"
"""Who asks, where nobody does yet."""
GRACE_S = 5.0
"""For a batch of tokens or a block of sound to end after a cancel, on the slowest machine."""

_WARM_UP_S = 180.0
_MOST_THREADS = 8
"""More gain little: it is the memory that a model waits for."""


def threads_of(settings: Settings) -> int:
    """CPU threads of an engine. Left to itself, one core is for the sockets and the system:
    engines whose threads wait by spinning come to a crawl when they lose one."""
    if settings.cpu_threads:
        return settings.cpu_threads
    there = getattr(os, "sched_getaffinity", None)
    cores = len(there(0)) if there is not None else os.cpu_count() or 1
    return max(1, min(cores - 1, _MOST_THREADS))


async def warm(engine: E, check: Callable[[E], Awaitable[None]]) -> None:
    """The first call, which may take long on a GPU; the engine is closed if it fails."""
    try:
        await asyncio.wait_for(check(engine), _WARM_UP_S)
    except asyncio.TimeoutError:
        await engine.close()
        raise EngineTimeout(
            f"{engine.info.name} ({engine.info.model}) didn't warm up in {_WARM_UP_S:g} s."
        ) from None
    except BaseException:
        await engine.close()
        raise


async def imported(module: str, package: str, extra: str) -> None:
    """Import an adapter off the event loop, where its library takes long to load."""
    try:
        await asyncio.to_thread(importlib.import_module, module)
    except ImportError as error:
        raise EngineUnavailable(
            f"The package {package} isn't usable ({error}): install the brain with its extra "
            f"{extra}."
        ) from error
