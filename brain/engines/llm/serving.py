"""A batcher at work on the thread of its context, whenever it has work. Of the event loop."""

from __future__ import annotations

import asyncio

from brain.engines.llm.batcher import Batcher
from brain.engines.llm.request import Request
from brain.engines.ports import EngineError
from brain.engines.worker import Worker


class Serving:
    """Has `batcher` serve on `worker` from the first request until none is left, and again."""

    def __init__(self, batcher: Batcher, worker: Worker) -> None:
        self._batcher = batcher
        self._worker = worker
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def submit(self, request: Request) -> None:
        """Queue `request`, and see to it that it is answered."""
        self._batcher.submit(request)
        self._serve()

    def stop(self, reason: EngineError) -> None:
        """End every reply with `reason`, and start none any more."""
        self._stopped = True
        self._batcher.stop(reason)

    def _serve(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._worker.run(self._batcher.serve))
            self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        if task.exception() is None and self._batcher.has_work:
            self._serve()
        elif self._stopped:
            # It never began, and what it was to answer is waiting to be told that.
            self._batcher.serve()
