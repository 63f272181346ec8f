"""One step of a stream as a task, for who waits for other things beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

T = TypeVar("T")


async def next_item(items: AsyncGenerator[T, None]) -> tuple[T, ...]:
    """The next item alone; nothing at the end."""
    async for item in items:
        return (item,)
    return ()


def look_at(task: asyncio.Future[Any]) -> None:
    """A done callback: what it raises once nobody waits for it is no news to anybody."""
    if not task.cancelled():
        task.exception()
