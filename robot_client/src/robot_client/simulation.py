"""Plays supervisors over simulated robots' lives against a real brain.

The robots' time is their own: they live as fast as the brain answers. What the brain asks to wait
(`Busy`) is waited for in earnest.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from robot_client.limits import Limits
from robot_client.memory import Memory
from robot_client.plans import MAX_ACTIONS, OFFERED_SKILLS, BadPlan, Plan, WorldState
from robot_client.reconnect import Backoff
from robot_client.supervisor import SupervisorClient
from robot_client.supervisor_errors import Busy, Failed, Refused, Timeout, Unreachable
from robot_client.tally import Tally
from robot_client.world import World

PROGRESS_S = 2.0
SAMPLE_EVERY = 10  # answers between two looks at the brain's memory
PATIENCE = 6  # tries without a brain, one after another, until a robot gives up
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Options:
    """What to simulate: `plans` requests of all robots together, or `hours` of each one's life.

    Robot n has the id `sim-SEED-n` and its world the seed `seed + n`.
    """

    base_url: str
    token: str | None = None
    plans: int | None = None
    hours: float | None = None
    robots: int = 1
    seed: int = 0
    skills: frozenset[str] = OFFERED_SKILLS
    max_actions: int = MAX_ACTIONS
    plan_limit_s: float = 30.0


async def simulate(
    options: Options,
    *,
    memory: Memory | None = None,
    on_progress: Callable[[Tally], None] = lambda _tally: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.perf_counter,
) -> Tally:
    """Play it to the end; `on_progress` is called every two seconds. `clock` in seconds, any
    monotonic one: how long a brain takes is lived by its robot.

    Raises `Unreachable` when there is no brain for too long, and `Refused` for a bad token.
    """
    tally = Tally()
    players = [
        asyncio.create_task(_Player(options, number, tally, memory, sleep, clock).play())
        for number in range(options.robots)
    ]
    ticker = asyncio.create_task(_report(tally, on_progress))
    try:
        await asyncio.gather(*players)
    finally:
        for task in (*players, ticker):
            task.cancel()
        await asyncio.wait({*players, ticker})
    if tally.failed["unreachable"] == tally.asked:
        raise Unreachable(f"no brain at {options.base_url}")
    return tally


async def _report(tally: Tally, on_progress: Callable[[Tally], None]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        on_progress(tally)


class _Player:
    """One supervisor and its robot."""

    def __init__(
        self,
        options: Options,
        number: int,
        tally: Tally,
        memory: Memory | None,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._options = options
        self._tally = tally
        self._memory = memory
        self._sleep = sleep
        self._clock = clock
        self._robot_id = f"sim-{options.seed}-{number}"
        self._world = World(options.seed + number)
        self._born_ms = self._world.now_ms
        self._limits = Limits()
        self._rng = random.Random(options.seed + number)
        self._backoff = Backoff(rng=self._rng)
        self._last_line = ""

    async def play(self) -> None:
        """Live until there are plans, or hours, enough."""
        options = self._options
        async with SupervisorClient(
            options.base_url, self._robot_id, options.token,
            plan_limit_s=options.plan_limit_s,
            skills=options.skills, max_actions=options.max_actions,
        ) as client:  # fmt: skip
            while self._goes_on():
                before_ms = self._world.now_ms
                state = self._world.next_state()
                self._tally.asked += 1
                self._tally.triggers[state.trigger] += 1
                await self._turn(client, state)
                self._tally.lived_ms += self._world.now_ms - before_ms

    def _goes_on(self) -> bool:
        if self._options.plans is not None and self._tally.asked >= self._options.plans:
            return False
        lived_ms = self._world.now_ms - self._born_ms
        return self._options.hours is None or lived_ms < self._options.hours * HOUR_MS

    async def _turn(self, client: SupervisorClient, state: WorldState) -> None:
        tally = self._tally
        began = self._clock()
        try:
            plan = await client.plan(state)
        except Busy as busy:
            tally.busy += 1
            # Robots that were sent away together must not come back together.
            await self._pause(busy.retry_after_s * self._rng.uniform(1.0, 1.25))
        except Timeout as timeout:
            tally.failed[timeout.code] += 1
            self._world.wait(1000 * (self._clock() - began))
        except Failed as failed:
            tally.failed[failed.code] += 1
        except BadPlan as bad:
            tally.wrong(bad.field, bad.why)
        except Refused as refused:
            if refused.field == "token":
                raise
            tally.refused[refused.field or refused.why] += 1
        except Unreachable:
            tally.failed["unreachable"] += 1
            if self._backoff.failures >= PATIENCE:
                raise
            await self._pause(self._backoff.next_delay())
            return
        else:
            self._do(plan, 1000 * (self._clock() - began))
        self._backoff.reset()

    async def _pause(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._world.wait(1000 * seconds)

    def _do(self, plan: Plan, latency_ms: float) -> None:
        """A plan has come: the robot has lived on meanwhile, and does what its limits let it."""
        self._world.wait(latency_ms)
        verdict = self._limits.admit(plan, plan.monotonic_ts_ms + round(latency_ms))
        self._world.did(verdict.done)
        self._last_line = self._tally.answer(plan, verdict, latency_ms, self._last_line)
        if self._memory is not None and self._tally.answered % SAMPLE_EVERY == 0:
            self._memory.sample()
