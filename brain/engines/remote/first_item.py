"""The first item of a stream, which is waited for no longer than a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from brain.engines.ports import CancelToken, EngineTimeout
from brain.engines.steps import look_at, next_item

T = TypeVar("T")


async def first_item(
    items: AsyncGenerator[T, None], token: CancelToken, patience_s: float | None, who: str
) -> tuple[T, ...]:
    """The first of `items`; nothing if there is none. After `patience_s` (None: never) `token`,
    which is that of `items`, is cancelled, and `EngineTimeout` raised, which tells `who` it was.
    Raises as `items` do.
    """
    step = asyncio.ensure_future(next_item(items))
    step.add_done_callback(look_at)
    try:
        done, _ = await asyncio.wait({step}, timeout=patience_s)
        if not done:
            token.cancel()
            raise EngineTimeout(f"{who} gave nothing within {patience_s:.3g} s.")
        return step.result()
    finally:
        if not step.done():
            step.cancel()
            await asyncio.wait({step})
