"""What the app talks to, on an event loop and a thread of its own beside the app's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
PATIENCE_S = 20


@dataclass(frozen=True)
class Beside(Generic[T]):
    """`it` belongs to the `loop`: what isn't thread-safe of it is called from there."""

    it: T
    loop: asyncio.AbstractEventLoop


@contextmanager
def beside(made: AbstractAsyncContextManager[T]) -> Iterator[Beside[T]]:
    """Enter it there, and leave it afterwards, which may raise what went wrong meanwhile."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="beside the app")
    thread.start()
    try:
        it = asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result(PATIENCE_S)
        try:
            yield Beside(it, loop)
        finally:
            left = made.__aexit__(None, None, None)
            asyncio.run_coroutine_threadsafe(left, loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()
