"""What the commands share that use one engine of the profile by itself, without a server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from brain.engines.ladder import Ladder
from brain.engines.lane import Closable

E = TypeVar("E", bound=Closable)


@asynccontextmanager
async def best_of(ladder: Ladder[E]) -> AsyncIterator[Ladder[E]]:
    """The ladder with its best rung built; says so if that isn't the one asked for."""
    try:
        await ladder.climb()
        state = ladder.state
        if state.active and state.reason:
            print(f"warning: {state.reason}", file=sys.stderr)
        yield ladder
    finally:
        await ladder.close()
