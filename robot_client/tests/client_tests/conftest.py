"""Fixtures of the client's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest


@pytest.fixture
def run() -> Callable[[Awaitable[Any]], Any]:
    """Run a coroutine on a loop of its own, for 30 s at most."""

    def runner(coroutine: Awaitable[Any]) -> Any:
        async def limited() -> Any:
            return await asyncio.wait_for(coroutine, 30)

        return asyncio.run(limited())

    return runner
