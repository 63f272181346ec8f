"""Which of several brains a robot goes to: always the same, unless that one can't be had."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from robot_client.discovery import takes

ANSWER_S = 1.0
"""How long a brain may take to take a connection."""
# A brain that is asked for again so soon took the connection and then didn't serve: longer than a
# handshake's time limit and a back-off together.
SOON_S = 10.0
AVOID_S = 30.0
"""So long the robot goes elsewhere before it tries that brain again."""


@dataclass(frozen=True)
class Place:
    """Where one brain is, and the URL of its `/ws`."""

    host: str
    port: int
    url: str


class Fleet:
    """The URL of the brain to connect to, asked anew for each socket.

    Rendezvous hashing: each brain's weight for a robot is a hash of the two, so that robots spread
    evenly, and only those of a brain that is gone go elsewhere. A robot without an id goes by
    chance. Back at its own brain it is as it next reconnects: a conversation isn't cut for that.
    """

    def __init__(
        self,
        places: Sequence[Place],
        robot_id: str | None,
        *,
        answers: Callable[[Place], Awaitable[bool]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`places`: at least one. `answers` and `clock` (seconds) are for tests."""
        self._order = in_order(places, robot_id)
        self._answers = answers or _answers
        self._clock = clock
        self._given: tuple[Place, float] | None = None
        self._avoid: dict[Place, float] = {}

    async def __call__(self) -> Place:
        """The first in the robot's own order that takes a connection. If none does, its own: the
        connection that follows will say what is wrong."""
        now = self._clock()
        if self._given is not None and now - self._given[1] < SOON_S:
            self._avoid[self._given[0]] = now + AVOID_S
        avoided = [place for place in self._order if self._avoid.get(place, now) > now]
        rest = [place for place in self._order if place not in avoided]
        self._given = None
        for place in (*rest, *avoided):
            if await self._answers(place):
                self._given = (place, self._clock())
                return place
        return self._order[0]


def in_order(places: Sequence[Place], robot_id: str | None) -> list[Place]:
    """The robot's own brain first, then those that stand in for it."""
    if robot_id is None:
        return random.sample(places, len(places))

    def weight(place: Place) -> bytes:
        return hashlib.sha256(f"{place.host}:{place.port} {robot_id}".encode()).digest()

    return sorted(places, key=weight, reverse=True)


async def _answers(place: Place) -> bool:
    try:
        return await asyncio.wait_for(takes(place.host, place.port), ANSWER_S) is not None
    except asyncio.TimeoutError:
        return False
