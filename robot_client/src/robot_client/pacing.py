"""A clock that ticks once a frame, without drift."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

FRAME_MS = 20


async def every_frame(
    tick: Callable[[], bool],
    *,
    frame_s: float = FRAME_MS / 1000,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call `tick` at the end of each frame, as a device does, until it returns False.

    Tick n comes at start + (n + 1) frames whatever the sleeps did: ticks that are late follow
    each other at once, so the number of frames after a time is always right.
    """
    start = clock()
    frame = 0
    more = True
    while more:
        frame += 1
        wait = start + frame * frame_s - clock()
        await sleep(max(0.0, wait))
        more = tick()
