"""Keeps the robots' conversations in the database, on a thread of its own: nobody waits for a disk.

Where that fails, the conversations live in memory alone, `reason` says why, and it is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from brain.dialogue.memory import Claim, Kept
from brain.history.database import Database, Limits, Row, is_damage, set_aside
from brain.history.port import POLL_S, Restored, tell_nobody
from brain.history.records import BadRecord, decode, encode

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_S = 5.0
"""Between two tries of a disk that failed."""
_START_S = 5.0
_STOP_S = 5.0
_LONGEST_UNTENDED_S = 300.0
_MOST_WAITING = 1_000
# Less is a clock that is being drawn near by NTP, or a thread that had to wait.
_JUMP_S = 5.0


@dataclass(frozen=True)
class _Wanted:
    """`kept` None: the robot is to be forgotten."""

    kept: Kept | None
    connected: bool = False


class HistoryKeeper:
    """A `Keeper` in `folder`, of this process alone.

    `clock`: seconds since 1970, as far as this machine knows. `steady`: seconds of a clock that
    nobody sets, and that goes on while the machine sleeps.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.forgotten: Callable[[str], None] = tell_nobody
        self.taken: Callable[[str], None] = tell_nobody
        self.found_late: Callable[[Restored], None] = tell_nobody
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._steady = steady or _steady
        self._set_at: float | None = None
        self._reason = ""
        self._note = ""
        self._database: Database | None = None
        self._tended_at = 0.0
        self._loaded = False
        self._forgotten_until: int | None = None
        self._connected: set[str] = set()
        self._news = threading.Condition()
        self._wanted: dict[str, _Wanted] = {}
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # -- for the event loop's thread -----------------------------------------------------------

    @property
    def kind(self) -> str:
        """See `Keeper`."""
        return "sqlite"

    @property
    def reason(self) -> str:
        """Why conversations are in memory alone just now; empty: they are on disk."""
        return self._reason

    @property
    def note(self) -> str:
        """What a person should know of even though it works: a damaged file was set aside."""
        return self._note

    async def start(self) -> tuple[Restored, ...]:
        """Open the database: what was kept, the robot that was there last at the end.

        Never raises, and takes 5 s at most: then the brain starts without.
        """
        self._loop = asyncio.get_running_loop()
        found: Future[tuple[Restored, ...]] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(found,), name="history", daemon=True
        )
        self._thread.start()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(found), _START_S)
        except asyncio.TimeoutError:
            self._fell(f"the disk of {self._folder} doesn't answer")
            return ()

    async def claim(self, robot: str) -> Claim:  # noqa: ARG002 - the port's
        """See `MemoryStore`. All that there was is in this process's memory since the start."""
        return Claim()

    def keep(self, robot: str, kept: Kept, *, connected: bool) -> None:
        """See `MemoryStore`. Of several that wait to be written, the last one is."""
        self._want(robot, _Wanted(kept, connected))

    def forget(self, robot: str) -> None:
        """See `MemoryStore`."""
        self._want(robot, _Wanted(None))

    async def close(self) -> None:
        """Write what isn't written yet; given up after 5 s."""
        with self._news:
            self._closing = True
            self._news.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOP_S)

    def _want(self, robot: str, wanted: _Wanted) -> None:
        with self._news:
            self._wanted[robot] = wanted
            # On a disk that fails for days, strangers must not fill the memory.
            while len(self._wanted) > max(_MOST_WAITING, 2 * self._limits.robots):
                del self._wanted[next(iter(self._wanted))]
            self._news.notify()

    # -- for the keeper's own thread -----------------------------------------------------------

    def _run(self, found: Future[tuple[Restored, ...]]) -> None:
        restored = self._surely(self.load) or ()
        if found.set_running_or_notify_cancel():
            found.set_result(restored)
        else:
            self._tell_found(restored)
        while True:
            with self._news:
                if self._reason or not self._wanted:
                    retry = RETRY_S if self._reason else POLL_S
                    self._news.wait_for(lambda: self._closing or self._has_work(), retry)
                closing = self._closing
            self._surely(self.work)
            if closing:
                break
        if self._database is not None:
            self._database.close()

    def _surely(self, task: Callable[[], T]) -> T | None:
        """A fault of ours mustn't end the thread: nobody would notice."""
        try:
            return task()
        except Exception:
            log.exception("history: a task broke")
            self._fell("a fault of the brain's own; see the log")
            return None

    def _has_work(self) -> bool:
        return bool(self._wanted) and not self._reason

    def load(self) -> tuple[Restored, ...]:
        """Open the database and read it. Blocks; never raises."""
        try:
            return self._read(self._open())
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return ()

    def _read(self, database: Database) -> tuple[Restored, ...]:
        now = self._clock()
        self._save(database, now, (), ())
        rows = database.rows()
        self._loaded = True
        restored = [found for row in rows if (found := _restored(row, now)) is not None]
        log.info("history: %d conversation(s) in %s", len(restored), database.path)
        return tuple(restored)

    def work(self) -> None:
        """Write what waits, and learn who was forgotten from outside. Blocks; never raises."""
        with self._news:
            wanted, self._wanted = self._wanted, {}
        for robot, want in wanted.items():
            (self._connected.add if want.connected else self._connected.discard)(robot)
        try:
            database = self._open()
            if not self._loaded:
                self._tell_found(self._read(database))
            # First: what waits was said before it was forgotten.
            gone = database.newly_forgotten()
            for robot in gone:
                wanted.pop(robot, None)
                self._tell_forgotten(robot)
            self._forgotten_until = database.last_forgotten
            self._write(database, wanted, outside=bool(gone))
        except (sqlite3.Error, OSError) as error:
            with self._news:
                self._wanted = {**wanted, **self._wanted}
            self._failed(error)
            return
        if self._reason:
            log.warning("history: conversations are kept on disk again")
            self._reason = ""

    def _tell_forgotten(self, robot: str) -> None:
        log.info("history: robot %r was forgotten, by command", robot)
        self._on_loop(self.forgotten, robot)

    def _tell_found(self, restored: Sequence[Restored]) -> None:
        for found in restored:
            self._on_loop(self.found_late, found)

    def _on_loop(self, tell: Callable[[T], object], what: T) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(tell, what)

    def _write(self, database: Database, wanted: dict[str, _Wanted], *, outside: bool) -> None:
        """`outside`: something was deleted by another process."""
        now = self._clock()
        rows = [
            Row(robot, now, want.kept.last_turn, want.kept.last_reply, encode(want.kept.messages))
            for robot, want in wanted.items()
            if want.kept is not None
        ]
        forgotten = [robot for robot, want in wanted.items() if want.kept is None]
        # A robot that says nothing for an hour is there all the same, should the power go then.
        untended_s = min(_LONGEST_UNTENDED_S, self._limits.age_s / 4)
        if wanted or abs(now - self._tended_at) > untended_s:
            self._save(database, now, rows, forgotten)
        if forgotten or outside:
            database.checkpoint()

    def _save(
        self, database: Database, now: float, rows: Sequence[Row], gone: Sequence[str]
    ) -> None:
        """A machine without a battery begins in 1970, or when it was last switched off, until NTP
        tells it the time: then all that was written goes along, or what was said five minutes ago
        would be too old to keep.
        """
        set_at = now - self._steady()
        jump = set_at - self._set_at if self._set_at is not None else 0.0
        database.save(
            rows,
            now=now,
            limits=self._limits,
            gone=gone,
            connected=tuple(self._connected),
            jump=jump if abs(jump) > _JUMP_S else 0.0,
        )
        self._set_at = set_at
        self._tended_at = now

    def _open(self) -> Database:
        if self._database is None:
            try:
                self._database = Database(self._folder, forgotten_until=self._forgotten_until)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                aside = set_aside(self._folder)
                self._note = f"a damaged database was set aside as {aside}: {error}"
                log.error("history: %s; a new one is begun", self._note)
                self._database = Database(self._folder)
            self._forgotten_until = self._database.last_forgotten
        return self._database

    def _failed(self, error: Exception) -> None:
        self._fell(f"{self._folder}: {error}")
        if self._database is not None:
            self._database.close()
            self._database = None

    def _fell(self, reason: str) -> None:
        if reason != self._reason:
            log.error(
                "history: conversations are in memory alone, and lost with this process: %s", reason
            )
        self._reason = reason


def _steady() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _restored(row: Row, now: float) -> Restored | None:
    try:
        kept = Kept(decode(row.messages), row.last_turn, row.last_reply)
    except BadRecord as error:
        log.warning("history: of robot %r nothing can be read: %s", row.robot, error)
        return None
    return Restored(row.robot, kept, now - row.seen_at)
