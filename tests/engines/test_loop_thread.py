"""A thread with a loop of its own: work goes there and comes back, and it ends."""

from __future__ import annotations

import asyncio
import threading
import time

from brain.engines.loop_thread import LoopThread


def test_work_runs_there_and_its_result_comes_back() -> None:
    async def where() -> str:
        return threading.current_thread().name

    async def main() -> None:
        thread = LoopThread("elsewhere")
        assert await asyncio.wrap_future(thread.submit(where())) == "elsewhere"
        await thread.close()
        await thread.close()

    asyncio.run(main())
    assert "elsewhere" not in [t.name for t in threading.enumerate()]


def test_closing_cancels_what_runs() -> None:
    ended: list[str] = []

    async def endless(begun: threading.Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(threading.current_thread().name)

    async def main() -> None:
        thread = LoopThread("elsewhere")
        begun = threading.Event()
        thread.submit(endless(begun))
        assert await asyncio.to_thread(begun.wait, 5.0)
        await thread.close()

    asyncio.run(main())
    assert ended == ["elsewhere"]


def test_a_cancel_goes_there() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def main() -> None:
        thread = LoopThread("elsewhere")
        work = thread.submit(endless())
        assert await asyncio.to_thread(begun.wait, 5.0)
        work.cancel()
        assert await asyncio.to_thread(cancelled.wait, 5.0)
        await thread.close()

    asyncio.run(main())


def test_one_that_hangs_is_left_behind() -> None:
    free = threading.Event()

    async def hang() -> None:
        free.wait()

    async def main() -> None:
        thread = LoopThread("elsewhere")
        thread.submit(hang())
        before = time.monotonic()
        await thread.close(patience=0.05)
        assert time.monotonic() - before < 5.0

    asyncio.run(main())
    free.set()
