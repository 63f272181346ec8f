"""A rung of servers elsewhere: several of one kind, as one engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from brain.engines.ladder import GivenUp, Rung
from brain.engines.lane import Closable

if TYPE_CHECKING:
    from brain.engines.remote.openai_address import OpenAIServer
    from brain.engines.remote.pool import Pool

E = TypeVar("E", bound=Closable)
S = TypeVar("S", bound="OpenAIServer")


def pool_rung(
    servers: Callable[[], Awaitable[Sequence[S]]],
    load: Callable[[S], Awaitable[E]],
    check: Callable[[E], Awaitable[None]],
    as_one: Callable[[Pool[E], GivenUp], E],
    *,
    first_s: float,
    warms: bool = True,
    sticks: bool = False,
) -> Rung[E]:
    """`servers` are asked for at each building, and import what talks with them; `load` connects to
    one, `check` asks it something, `as_one` puts them behind one lane.

    `warms` False: they are asked nothing before they are needed. The rest is `Pool`'s.
    """

    async def build(given_up: GivenUp) -> E:
        those = await servers()
        from brain.engines.recipes.remote import pool_of

        asked = check if warms else None
        return as_one(await pool_of(those, load, asked, first_s=first_s, sticks=sticks), given_up)

    async def probe() -> None:
        those = await servers()
        from brain.engines.recipes.remote import one_is_there

        await one_is_there(those)

    return Rung("openai", build, check, probe=probe)
