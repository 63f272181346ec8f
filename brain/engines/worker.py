"""One thread for one blocking engine, seen from asyncio.

An engine library is called from its own thread only, one call at a time, so that the event loop is
never blocked and libraries that are not thread-safe are safe.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, TypeVar

from brain.engines.ports import EngineUnavailable

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Worker:
    """A thread that runs blocking functions and generators, in the order in which they come.

    The thread is a daemon, so that a call that hangs for ever doesn't keep the process alive, and
    starts with the first job. `name` is the thread's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """The result of `function(*args)`, run on the thread.

        A caller that is cancelled while its job waits takes the job back; one that already runs is
        finished and its result dropped. Raises `EngineUnavailable` after `close`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            if future.cancelled():
                return
            try:
                result = function(*args)
            except BaseException as error:  # noqa: BLE001 - not swallowed: raised in the caller
                _post(loop, _fail, future, error)
            else:
                _post(loop, _fulfil, future, result)

        self._submit(job)
        return await future

    def iterate(self, make: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
        """The items of `make()`, which is iterated on the thread; else as `gather`."""
        return self.gather(lambda give: _drain(make, give))

    async def gather(
        self, produce: Callable[[Callable[[T], bool]], None]
    ) -> AsyncGenerator[T, None]:
        """What `produce`, which runs on the thread, gives away one by one.

        It is given a function for that, which says whether more is wanted. It goes at its own
        pace: what the consumer hasn't taken yet waits in memory, so that a paced consumer doesn't
        hold the engine. Closing this iterator or the worker makes the function say no. Raises what
        `produce` raises, after what it gave, and `EngineUnavailable` if the worker is closed.
        """
        loop = asyncio.get_running_loop()
        ready: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue()
        stop = threading.Event()

        def give(item: T) -> bool:
            if stop.is_set() or self._closed:
                return False
            _post(loop, ready.put_nowait, (True, item))
            return True

        def job() -> None:
            ending: BaseException | None = None
            try:
                if not (stop.is_set() or self._closed):
                    produce(give)
                if self._closed:
                    ending = self._gone()
            except BaseException as error:  # noqa: BLE001 - not swallowed: raised in the caller
                ending = error
            _post(loop, ready.put_nowait, (False, ending))

        self._submit(job)
        try:
            while True:
                more, value = await ready.get()
                if more:
                    yield value
                elif value is not None:
                    raise value
                else:
                    return
        finally:
            stop.set()

    async def close(self, last: Callable[[], None] | None = None, *, patience: float = 5.0) -> bool:
        """Run `last` on the thread after all that is queued, end the thread and join it.

        What `gather` and `iterate` are giving ends with the next item; other jobs are finished.
        Waits `patience` seconds; a thread that hangs is left behind (it is a daemon) and False is
        returned. Closing twice is the same as once.
        """
        if self._closed:
            return self._thread is None or not self._thread.is_alive()
        self._closed = True
        if self._thread is None:
            if last is not None:
                last()
            return True
        if last is not None:
            self._jobs.put(_logged(last))
        self._jobs.put(None)
        thread = self._thread
        loop = asyncio.get_running_loop()
        joined: asyncio.Future[None] = loop.create_future()

        def wait_for_end() -> None:
            thread.join(patience)
            _post(loop, _fulfil, joined, None)

        threading.Thread(target=wait_for_end, name=f"{self._name}-join", daemon=True).start()
        await joined
        if thread.is_alive():
            _log.error("The thread %s hangs and is left behind.", self._name)
            return False
        return True

    def _submit(self, job: Callable[[], None]) -> None:
        if self._closed:
            raise self._gone()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def _gone(self) -> EngineUnavailable:
        return EngineUnavailable(f"{self._name} is closed")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _drain(make: Callable[[], Iterator[T]], give: Callable[[T], bool]) -> None:
    iterator = make()
    try:
        for item in iterator:
            if not give(item):
                return
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def _logged(function: Callable[[], None]) -> Callable[[], None]:
    def job() -> None:
        try:
            function()
        except Exception:  # noqa: BLE001 - freeing an engine must not keep the thread from ending
            _log.exception("Freeing an engine failed.")

    return job


def _post(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    """Call `function` on the loop's thread, if there is still a loop to hear of it."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


def _fulfil(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
