"""What the engines on other machines share: their servers, one engine of several, looking at them.

Imports OpenAI's client, so it is imported when such an engine is chosen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from brain.engines.lane import Closable
from brain.engines.ports import EngineUnavailable
from brain.engines.recipes.building import warm
from brain.engines.remote.endpoint import Server
from brain.engines.remote.openai_address import OpenAIServer
from brain.engines.remote.openai_server import probe
from brain.engines.remote.pool import Pool

E = TypeVar("E", bound=Closable)
S = TypeVar("S", bound=OpenAIServer)


async def pool_of(
    servers: Sequence[S],
    load: Callable[[S], Awaitable[E]],
    check: Callable[[E], Awaitable[None]] | None,
    *,
    first_s: float,
    sticks: bool = False,
) -> Pool[E]:
    """These servers as one; each is tried with `check` before it is asked anything.

    Raises `EngineUnavailable` if none is there.
    """

    async def build(server: S) -> E:
        engine = await load(server)
        if check is not None:
            await warm(engine, check)
        return engine

    return await Pool.load(
        [Server(one.place, partial(build, one), partial(probe, one)) for one in servers],
        first_s=first_s,
        sticks=sticks,
    )


async def one_is_there(servers: Sequence[OpenAIServer]) -> None:
    """Raises `EngineUnavailable` if none of `servers` is there; returns as soon as one is."""
    looks = [asyncio.ensure_future(probe(server)) for server in servers]
    waiting = set(looks)
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(look.exception() is None for look in done):
                return
    finally:
        for look in looks:
            look.cancel()
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
    raise EngineUnavailable(" ".join(dict.fromkeys(str(outcome) for outcome in outcomes)))
