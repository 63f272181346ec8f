"""Keeps the robots' conversations in a Redis that several brains share: a robot that comes to
another brain finds its conversation there. Never waits for it but for a little as a session begins.

Where Redis can't be reached, conversations live in memory alone, `reason` says why, and what piled
up is written when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from brain.dialogue.memory import Claim, Kept
from brain.history.port import POLL_S, Restored, tell_nobody
from brain.history.records import encode
from brain.history.shared_record import (
    CLAIM,
    TEND,
    WRITE,
    Standing,
    claimed,
    fields,
    key,
    place,
    standings,
    without_password,
)

log = logging.getLogger(__name__)

CLAIM_S = 3.0
"""A robot waits so long for its history, then it begins afresh. (When a brain dies, all its robots
come to the next one at once.)"""
_CLAIM_AWAY_S = 1.0
_CONNECTIONS = 16
"""To Redis, at most. (One that waits for nothing refuses the hundred and first robot at once.)"""
"""The same, of a Redis that isn't there as far as is known."""
RETRY_S = 1.0
"""Between two tries of a Redis that can't be reached."""
_ANSWER_S = 4.0
_START_S = 3.0
_STOP_S = 5.0
_SHORTEST_S = 10.0
_MOST_WAITING = 1_000
_A_BATCH = 32
_2026 = 1_767_225_600


@dataclass
class _Held:
    """A robot that this brain holds: it is connected, or its newest state isn't written yet.

    `taken`: another brain has its newest session; the one here is about to end.
    """

    fence: int
    connected: bool = True
    kept: Kept | None = None
    dirty: bool = False
    taken: bool = False


class SharedKeeper:
    """A `Keeper` at `url` (redis:// or rediss://), shared by all brains that name it.

    A record lives for `age_s` after its robot was last there. There is no bound on robots: no brain
    knows them all. `clock`: seconds since 1970.
    """

    def __init__(self, url: str, *, age_s: float, clock: Callable[[], float] = time.time) -> None:
        self.forgotten: Callable[[str], None] = tell_nobody
        self.taken: Callable[[str], None] = tell_nobody
        self.found_late: Callable[[Restored], None] = tell_nobody
        self._url = url
        self._place = place(url)
        self._live_ms = int(max(age_s, _SHORTEST_S) * 1000)
        self._clock = clock
        self._me = secrets.token_hex(8)
        self._reason = ""
        self._held: dict[str, _Held] = {}
        self._news = asyncio.Event()
        self._closing = False
        self._redis: Redis | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def kind(self) -> str:
        """See `Keeper`."""
        return "redis"

    @property
    def reason(self) -> str:
        """Why conversations are in memory alone just now; empty: they are in Redis."""
        return self._reason

    @property
    def note(self) -> str:
        """See `Keeper`."""
        return ""

    async def start(self) -> tuple[Restored, ...]:
        """See `Keeper`. Nothing is read: a robot's history is asked for when it comes."""
        try:
            pool = BlockingConnectionPool.from_url(
                self._url,
                max_connections=_CONNECTIONS,
                timeout=None,  # a claim is given up by its own clock
                socket_timeout=_ANSWER_S,
                socket_connect_timeout=_ANSWER_S,
                retry=Retry(NoBackoff(), 0),
                protocol=2,  # the newer one's first word hides what is wrong with a password
            )
            self._redis = Redis.from_pool(pool)
            await asyncio.wait_for(self._tend(self._redis), _START_S)
        except (RedisError, OSError, ValueError, asyncio.TimeoutError) as error:
            self._failed(error)
        else:
            log.info("history: conversations are kept in %s", self._place)
        self._running = asyncio.ensure_future(self._run())
        return ()

    async def claim(self, robot: str) -> Claim:
        """See `MemoryStore`."""
        held = self._held.get(robot)
        fence = max(int(self._clock() * 1e6), held.fence + 1 if held else 0)
        try:
            patience = min(CLAIM_S, _CLAIM_AWAY_S) if self._reason else CLAIM_S
            answer = await asyncio.wait_for(self._claimed(robot, fence), patience)
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            self._failed(error)
            log.warning(
                "history: robot %r goes on with what this brain has of it, or begins afresh: %s",
                robot,
                self._reason,
            )
            held = self._hold(robot, fence)
            # Others may have spoken with it, and numbers of a second each are above theirs.
            return Claim(held.kept, above=max(0, int(self._clock()) - _2026))
        before, kept, wrong = answer.before, answer.kept, answer.wrong
        if wrong:
            log.warning("history: of robot %r not all can be read: %s", robot, wrong)
        held = self._held.get(robot)
        ours = held is not None and not held.taken and held.fence >= before
        if not ours:
            self._held.pop(robot, None)
        held = self._hold(robot, answer.fence)
        return Claim(held.kept if ours else kept, ours=ours)

    def keep(self, robot: str, kept: Kept, *, connected: bool) -> None:
        """See `MemoryStore`. Of several that wait to be written, the last one is."""
        held = self._held.get(robot)
        if held is None or held.taken:
            if not connected:
                self._held.pop(robot, None)
            return
        held.kept, held.connected, held.dirty = kept, connected, True
        self._news.set()

    def forget(self, robot: str) -> None:
        """See `MemoryStore`. What others share isn't this brain's to delete."""

    async def close(self) -> None:
        """Write what isn't written yet; given up after 5 s."""
        self._closing = True
        self._news.set()
        if self._running is not None:
            _, late = await asyncio.wait({self._running}, timeout=_STOP_S)
            for task in late:
                task.cancel()
                await asyncio.wait({task})
        if self._redis is not None:
            with contextlib.suppress(RedisError, OSError, asyncio.TimeoutError):
                await asyncio.wait_for(self._redis.aclose(), 1.0)

    # -- the keeper's own task -----------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._next(), RETRY_S if self._reason else POLL_S)
            closing = self._closing
            self._news.clear()
            await self._work()
            if closing:
                return

    async def _next(self) -> None:
        """There is something to write, and nothing that keeps it from being tried."""
        await self._news.wait()
        while self._reason and not self._closing:
            self._news.clear()
            await self._news.wait()

    async def _work(self) -> None:
        if self._redis is None:
            return
        try:
            was_away = bool(self._reason)
            if was_away or not any(held.dirty for held in self._held.values()):
                await self._tend(self._redis)
            while dirty := [name for name, held in self._held.items() if held.dirty]:
                await self._write(self._redis, dirty[:_A_BATCH])
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            self._failed(error)
        except Exception:
            log.exception("history: a task broke")
            self._fell("a fault of the brain's own; see the log")
        else:
            if self._reason:
                log.warning("history: conversations are kept in %s again", self._place)
                self._reason = ""

    async def _claimed(self, robot: str, fence: int) -> Any:
        if self._redis is None:
            raise OSError(self._reason)
        return claimed(await self._redis.eval(CLAIM, 1, key(robot), fence, self._me, self._live_ms))

    async def _write(self, redis: Redis, robots: Iterable[str]) -> None:
        """Raises for the first that can't be written, after trying all; those stay dirty."""
        batch = [(robot, self._held[robot]) for robot in robots]
        states = [(robot, held, held.fence, held.kept) for robot, held in batch]
        async with redis.pipeline(transaction=False) as pipeline:
            for robot, _, fence, kept in states:
                assert kept is not None
                pipeline.eval(
                    WRITE,
                    1,
                    key(robot),
                    fence,
                    self._me,
                    self._live_ms,
                    *fields(self._record(kept)),
                )
            answers = await pipeline.execute(raise_on_error=False)
        failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
        for (robot, held, fence, kept), answer in zip(states, answers, strict=True):
            if isinstance(answer, Exception) or self._held.get(robot) is not held:
                continue
            [(standing, stored)] = standings(answer)
            if standing is Standing.HOLDS:
                if held.kept is kept and held.fence == fence:
                    held.dirty = False
                    if not held.connected:
                        del self._held[robot]
            elif held.fence == fence:  # (else it has been claimed anew meanwhile)
                self._settle(robot, held, standing, stored)
        if failed is not None:
            raise failed

    def _record(self, kept: Kept) -> dict[str, Any]:
        return {
            "last_turn": kept.last_turn,
            "last_reply": kept.last_reply,
            "seen_at": f"{self._clock():.3f}",
            "messages": encode(kept.messages),
        }

    async def _tend(self, redis: Redis) -> None:
        """Whether the robots that are there are still this brain's; they don't age."""
        await redis.ping()
        there = iter([(name, held) for name, held in self._held.items() if held.connected])
        while batch := list(islice(there, _A_BATCH)):
            fences = [held.fence for _, held in batch]
            keys = [key(robot) for robot, _ in batch]
            answer = await redis.eval(TEND, len(keys), *keys, self._me, self._live_ms, *fences)
            for (robot, held), fence, (standing, stored) in zip(
                batch, fences, standings(answer), strict=True
            ):
                if self._held.get(robot) is held and held.fence == fence and not held.taken:
                    self._settle(robot, held, standing, stored)
        if self._reason:  # it may have come back older than it went
            for held in self._held.values():
                held.dirty = held.dirty or (held.kept is not None and not held.taken)

    def _settle(self, robot: str, held: _Held, standing: Standing, fence: int) -> None:
        if standing is Standing.TAKEN:
            log.info("history: robot %r has gone over to another brain", robot)
            held.taken, held.dirty = True, False
            if not held.connected:
                del self._held[robot]
            self.taken(robot)
        elif standing is Standing.FORGOTTEN:
            log.info("history: robot %r was forgotten, by command", robot)
            held.fence, held.kept, held.dirty = fence + 1, None, False
            if not held.connected:
                del self._held[robot]
            self.forgotten(robot)
        elif standing is Standing.BEHIND:
            held.fence = fence
        elif standing is Standing.GONE:
            held.dirty = held.kept is not None

    def _hold(self, robot: str, fence: int) -> _Held:
        held = self._held.setdefault(robot, _Held(fence))
        held.fence, held.connected, held.taken = fence, True, False
        return held

    def _failed(self, error: Exception) -> None:
        # While Redis is away for days, strangers must not fill the memory.
        waiting = [name for name, held in self._held.items() if not held.connected]
        for name in waiting[: max(0, len(waiting) - _MOST_WAITING)]:
            del self._held[name]
        said = str(error) or "it doesn't answer"
        self._fell(f"{self._place}: {without_password(said, self._url)}")

    def _fell(self, reason: str) -> None:
        if not self._reason:
            log.error(
                "history: conversations are in memory alone, and lost with this process: %s", reason
            )
        self._reason = reason
