"""All sessions of the house: who is connected, and what is kept of those who were."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from weakref import WeakValueDictionary

from brain.dialogue import outputs
from brain.dialogue.common import Engines, common
from brain.dialogue.config import HouseRules, SessionConfig
from brain.dialogue.history import History
from brain.dialogue.memory import Claim, Kept, MemoryStore, RobotMemory
from brain.dialogue.session import Session

_REPLACED = outputs.Closed(4001, "replaced_by_newer_session")


class Full(Exception):
    """A limit on sessions is reached, of the house or of one address; come back later.

    The message says which, for people; `retry_after_s` is a guess.
    """

    def __init__(self, whose: str, retry_after_s: int) -> None:
        super().__init__(f"{whose}; retry_after_s={retry_after_s}")
        self.retry_after_s = retry_after_s


class GoingDown(Exception):
    """The brain is shutting down; come back."""


@dataclass
class SessionCounters:
    """Since the start of the process. `preempted`: replaced by a newer session of their robot."""

    registered: int = 0
    preempted: int = 0
    unregistered: int = 0
    resumed: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Caller:
    """What a robot says of itself as it connects, for diagnosis only: it decides nothing.

    `session_seq` counts its sessions, `session_monotonic_ts_ms` is its clock; None: not given.
    """

    session_seq: int | None = None
    session_monotonic_ts_ms: int | None = None


@dataclass
class Connection:
    """A session that runs. `resumed`: its robot's history was found again.

    `address` is the peer's, empty where it has none. `closed` is how it ended; None while it runs.
    """

    session: Session
    resumed: bool
    caller: Caller = Caller()
    address: str = ""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    closed: outputs.Closed | None = None

    async def run(self) -> None:
        try:
            self.closed = await self.session.run()
        finally:
            self.finished.set()


class Sessions:
    """Opens sessions, one a robot; the newest wins. For the event loop's thread.

    A robot without an id is anonymous: never resumed, never replaced.
    """

    def __init__(
        self,
        engines: Engines,
        house: HouseRules,
        *,
        max_sessions: int = 16,
        per_address: int = 32,
        memory_s: float = 30 * 60,
        memory_robots: int = 50,
        clock: Callable[[], float] = time.monotonic,
        store: MemoryStore | None = None,
    ) -> None:
        self.house = house
        self.counters = SessionCounters()
        self.common = common(engines, house)
        self._max_sessions = max_sessions
        self._per_address = per_address
        self._memory_s = memory_s
        self._memory_robots = memory_robots
        self._clock = clock
        self._store = store
        self._open: dict[str, Connection] = {}
        # Sessions of one robot open one after another: its store may take its time to answer.
        self._opening: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._memories: OrderedDict[str, tuple[float, RobotMemory]] = OrderedDict()
        self._going_down = False

    @property
    def active(self) -> int:
        return len(self._open)

    @property
    def robots(self) -> dict[str, Caller]:
        """The robots that are connected, by their ids, and what each said of itself."""
        return {robot: self._open[robot].caller for robot in sorted(self._open)}

    def account(self) -> dict[str, Any]:
        """The sessions, as `/health` tells of them."""
        robots = {robot: asdict(caller) for robot, caller in self.robots.items()}
        return {"active_sessions": self.active, **asdict(self.counters), "robots": robots}

    def sounds(self) -> dict[str, dict[str, Any]]:
        """How each connected robot's microphone sounds (`SoundMeter.account`), by its id."""
        now = asyncio.get_running_loop().time()
        meters = {robot: self._open[robot].session.meter for robot in sorted(self._open)}
        return {robot: meter.account(now) for robot, meter in meters.items()}

    async def open(
        self,
        robot_id: str | None,
        *,
        address: str = "",
        defaults: SessionConfig | None = None,
        caller: Caller | None = None,
    ) -> Connection:
        """A new session, which the wire runs and then gives to `close`.

        An older one of the same robot is ended first, whatever the two say of themselves: a robot
        that has rebooted counts from 0 again. `address`: of the peer; empty ones aren't counted.
        `defaults`: of this wire, where it has its own. Raises `Full` or `GoingDown`.
        """
        known = robot_id or f"anonymous-{secrets.token_hex(4)}"
        async with self._opening.setdefault(known, asyncio.Lock()):
            self._check_up()
            await self._end_older(known)
            self._check_room(address)
            if robot_id:
                self._make_room(known)
            store = self._store if robot_id else None
            claim = await store.claim(known) if store is not None else Claim()
            self._check_up()
            self._check_room(address)
            memory, resumed = self._memory_of(known if robot_id else None, claim)
            self.counters.registered += 1
            self.counters.resumed += resumed
            house = replace(self.house, defaults=defaults) if defaults is not None else self.house
            session = Session(secrets.token_hex(8), known, self.common, house, memory)
            connection = Connection(session, resumed, caller or Caller(), address)
            self._open[known] = connection
            memory.opened()
            return connection

    def _check_up(self) -> None:
        if self._going_down:
            raise GoingDown("the brain is going down; come back")

    async def _end_older(self, robot: str) -> None:
        while (older := self._open.get(robot)) is not None:
            older.session.hang_up(_REPLACED.code, _REPLACED.reason)
            await older.finished.wait()
            self._forget(robot, older)

    def _check_room(self, address: str) -> None:
        same = sum(other.address == address for other in self._open.values() if address)
        if len(self._open) >= self._max_sessions or same >= self._per_address:
            self.counters.refused += 1
            raise Full("full for this address" if same >= self._per_address else "full", 5)

    def _memory_of(self, robot: str | None, claim: Claim) -> tuple[RobotMemory, bool]:
        """The memory that a session goes on with, and whether it is an earlier one's."""
        if robot is None:
            return self._remembered(None, Kept((), 0, 0)), False
        _, memory = self._memories.get(robot, (0.0, None)) if claim.ours else (0.0, None)
        resumed = memory is not None or claim.kept is not None
        if memory is None:
            memory = self._remembered(robot, claim.kept or Kept((), 0, 0))
        memory.rise(claim.above)
        self._memories[robot] = (self._clock(), memory)
        self._memories.move_to_end(robot)
        return memory, resumed

    def close(self, connection: Connection) -> None:
        """The session has ended; its robot's memory stays for a while."""
        self._forget(connection.session.robot_id, connection)

    def restore(self, robot: str, kept: Kept, *, age_s: float) -> None:
        """What another process kept of a robot, who left it `age_s` seconds ago.

        In the order in which they left. One that is back already has a new memory, and keeps it.
        """
        if robot not in self._memories:
            memory = self._remembered(robot, kept)
            self._memories[robot] = (self._clock() - age_s, memory)

    def forget(self, robot: str) -> None:
        """What this robot said and heard is forgotten, now. Its session goes on, if it has one."""
        if robot not in self._memories:
            return
        if robot in self._open:
            memory = self._memories[robot][1]
            memory.history.clear()
            memory.pauses.forget()
            memory.keep()
        else:
            self._drop(robot)

    def taken(self, robot: str) -> None:
        """Another process has this robot's newest session: one that is open here ends."""
        if (older := self._open.get(robot)) is not None:
            older.session.hang_up(_REPLACED.code, _REPLACED.reason)

    async def drain(self, timeout_s: float) -> None:
        """Take no new sessions, let replies under way end for so long, then end all sessions."""
        self._going_down = True
        waiting = [connection.session.quiet.wait() for connection in self._open.values()]
        if waiting:
            tasks = [asyncio.ensure_future(quiet) for quiet in waiting]
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
        for connection in list(self._open.values()):
            connection.session.hang_up(1001, "the brain is going down; come back")

    def _forget(self, robot: str, connection: Connection) -> None:
        if self._open.get(robot) is connection:
            del self._open[robot]
            self.counters.unregistered += 1
            self.counters.preempted += connection.closed == _REPLACED
            if robot in self._memories:
                memory = self._memories[robot][1]
                self._memories[robot] = (self._clock(), memory)
                memory.closed()

    def _make_room(self, robot: str) -> None:
        """For this robot's memory; those that are too old go in any case."""
        now = self._clock()
        for known, (left_at, _) in list(self._memories.items()):
            if known not in self._open and now - left_at > self._memory_s:
                self._drop(known)
        while len(self._memories) >= max(self._memory_robots, 1) and robot not in self._memories:
            gone = next((known for known in self._memories if known not in self._open), None)
            if gone is None:
                break
            self._drop(gone)

    def _remembered(self, robot: str | None, kept: Kept) -> RobotMemory:
        """A memory that is written down as it changes; a stranger's (None) never is."""
        history = History(self.house.history_chars, kept.messages, self.house.pictures)
        memory = RobotMemory(history, kept.last_turn, kept.last_reply)
        store = self._store
        if store is not None and robot is not None:
            memory.write = lambda now, connected: store.keep(robot, now, connected=connected)
        return memory

    def _drop(self, robot: str) -> None:
        del self._memories[robot]
        if self._store is not None:
            self._store.forget(robot)
