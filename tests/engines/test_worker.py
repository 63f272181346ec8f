"""The worker runs blocking code off the loop, in order, and always lets go."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from brain.engines.ports import EngineUnavailable
from brain.engines.worker import Worker


def test_runs_on_its_own_thread_and_gives_results_and_errors_back() -> None:
    async def main() -> None:
        worker = Worker("ears")
        assert await worker.run(lambda: threading.current_thread().name) == "ears"
        assert await worker.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 / 0)
        assert await worker.close()

    asyncio.run(main())


def test_the_loop_runs_on_while_a_call_blocks() -> None:
    async def main() -> None:
        worker = Worker("slow")
        gate = threading.Event()
        blocked = asyncio.ensure_future(worker.run(gate.wait, 30))
        ticks = 0
        for _ in range(100):
            await asyncio.sleep(0)
            ticks += 1
        assert ticks == 100
        assert not blocked.done()
        gate.set()
        assert await blocked
        await worker.close()

    asyncio.run(main())


def test_iterates_and_closes_the_generator_when_the_consumer_leaves() -> None:
    async def main() -> None:
        worker = Worker("voice")
        closed = threading.Event()
        go_on = threading.Semaphore(3)

        def blocks() -> Iterator[int]:
            try:
                for number in range(1000):
                    assert go_on.acquire(timeout=10)
                    yield number
            finally:
                closed.set()

        taken = []
        stream = worker.iterate(blocks)
        async for number in stream:
            taken.append(number)
            if number == 2:
                break
        await stream.aclose()
        go_on.release()
        assert await worker.run(closed.is_set)
        assert taken == [0, 1, 2]
        await worker.close()

    asyncio.run(main())


def test_an_error_in_a_generator_comes_after_its_items() -> None:
    async def main() -> None:
        worker = Worker("voice")

        def blocks() -> Iterator[int]:
            yield 1
            raise KeyError("x")

        stream = worker.iterate(blocks)
        assert await stream.__anext__() == 1
        with pytest.raises(KeyError):
            await stream.__anext__()
        await worker.close()

    asyncio.run(main())


def test_a_job_whose_caller_left_is_not_run() -> None:
    async def main() -> None:
        worker = Worker("w")
        gate = threading.Event()
        ran: list[int] = []
        first = asyncio.ensure_future(worker.run(gate.wait, 30))
        second = asyncio.ensure_future(worker.run(ran.append, 1))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        gate.set()
        await first
        await worker.close()
        assert ran == []

    asyncio.run(main())


def test_close_frees_on_the_thread_once_and_refuses_what_comes_later() -> None:
    async def main() -> None:
        worker = Worker("w")
        freed: list[str] = []
        await worker.run(len, "x")
        assert await worker.close(lambda: freed.append(threading.current_thread().name))
        assert await worker.close(lambda: freed.append("again"))
        assert freed == ["w"]
        with pytest.raises(EngineUnavailable):
            await worker.run(len, "x")

    asyncio.run(main())


def test_close_ends_what_is_being_given_and_what_waits_behind_it() -> None:
    async def main() -> None:
        worker = Worker("voice")
        first, second = worker.iterate(itertools.count), worker.iterate(itertools.count)
        assert await first.__anext__() == 0
        behind = asyncio.ensure_future(second.__anext__())
        await asyncio.sleep(0)
        assert await worker.close(), "it would go on for ever"
        with pytest.raises(EngineUnavailable):
            async for _ in first:
                pass
        with pytest.raises(EngineUnavailable):
            await behind

    asyncio.run(main())


def test_a_hung_thread_is_left_behind_and_does_not_keep_the_process() -> None:
    code = """
import asyncio, threading
from brain.engines.worker import Worker
async def main():
    worker = Worker("hung")
    started = threading.Event()
    def hang():
        started.set()
        threading.Event().wait()
    task = asyncio.ensure_future(worker.run(hang))
    await asyncio.get_running_loop().run_in_executor(None, started.wait, 10)
    print(await worker.close(patience=0.05))
    task.cancel()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
