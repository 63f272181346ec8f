"""The SQLite file with one row a robot. Blocks; for one thread at a time.

A row is the robot's whole memory, and is replaced as a whole: it is as bounded as the history is,
and can't come apart. It is written in WAL mode with synchronous=FULL: with NORMAL, whatever came
after the last checkpoint, which may be hundreds of turns, would be lost as the power goes; FULL is
one fsync a reply, on a thread where nobody waits for it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "history.sqlite3"
DAMAGED = "history.sqlite3.damaged"
_VERSION = 1
_LOCKED_S = 2.0
_TOMBSTONES_S = 3600.0
_FIRST_BRAIN = 1_767_225_600.0  # 2026 began
_SCHEMA = """
CREATE TABLE IF NOT EXISTS robots (
    robot TEXT PRIMARY KEY, seen_at REAL NOT NULL, last_turn INTEGER NOT NULL,
    last_reply INTEGER NOT NULL, size INTEGER NOT NULL, messages TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS forgotten (
    id INTEGER PRIMARY KEY AUTOINCREMENT, robot TEXT NOT NULL, at REAL NOT NULL);
"""
# Of the newest robots as many as the limits (robots, bytes) allow.
_TOO_MUCH = """
DELETE FROM robots WHERE robot IN (SELECT robot FROM
    (SELECT robot, row_number() OVER newest AS place, sum(size) OVER newest AS total FROM robots
     WINDOW newest AS (ORDER BY seen_at DESC, rowid DESC ROWS UNBOUNDED PRECEDING))
    WHERE place > ? OR total > ?)
"""


class Newer(sqlite3.DatabaseError):
    """The file was written by a newer brain, whose rows this one can't read."""


@dataclass(frozen=True)
class Row:
    """`seen_at`: seconds since 1970, when the robot was last known to be there."""

    robot: str
    seen_at: float
    last_turn: int
    last_reply: int
    messages: str


@dataclass(frozen=True)
class Limits:
    """`age_s` since a robot was there, in seconds; rows; and bytes of all conversations."""

    age_s: float
    robots: int
    size: int


class Database:
    """Open until closed. Any method may raise `sqlite3.Error`, the constructor `OSError` too."""

    def __init__(self, folder: Path, *, forgotten_until: int | None = None) -> None:
        """`forgotten_until`: the `last_forgotten` of when it was open before."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / FILE
        # What people said is nobody's business but the brain's; SQLite gives its other files the
        # mode of this one.
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):
            if os.geteuid() == 0:  # or the service could not write what root's brain has begun
                os.fchown(file, folder.stat().st_uid, folder.stat().st_gid)
        os.close(file)
        self._sql = sqlite3.connect(
            self.path, timeout=_LOCKED_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
            newest: int = self._one("SELECT coalesce(max(id), 0) FROM forgotten")
            self.last_forgotten = newest
            self._seen_version = -1
            if forgotten_until is not None:
                self.last_forgotten = min(forgotten_until, newest)
        except sqlite3.Error:
            self._sql.close()
            raise

    def _prepare(self) -> None:
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=FULL")
        self._sql.execute("PRAGMA secure_delete=ON")
        self._sql.execute("PRAGMA journal_size_limit=1048576")
        version = self._one("PRAGMA user_version")
        if version > _VERSION:
            raise Newer(f"it was written by a newer brain (form {version}, this one: {_VERSION})")
        if (found := self._one("PRAGMA quick_check(1)")) != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {str(found).splitlines()[-1]}")
        self._sql.executescript(_SCHEMA)
        self._sql.execute(f"PRAGMA user_version={_VERSION}")

    def rows(self) -> tuple[Row, ...]:
        """All robots, the one that was there last at the end."""
        return tuple(
            Row(*row)
            for row in self._sql.execute(
                "SELECT robot, seen_at, last_turn, last_reply, messages FROM robots"
                " ORDER BY seen_at, rowid"
            )
        )

    def save(
        self,
        rows: Iterable[Row],
        *,
        now: float,
        limits: Limits,
        gone: Iterable[str] = (),
        connected: Iterable[str] = (),
        jump: float = 0.0,
    ) -> None:
        """Put these rows in the place of what was there, and delete those of `gone`.

        Those who are `connected` are there `now`; whatever is too old or too much is deleted. A
        time to come is taken for now, and so is one before there was a brain: the clock was wrong
        then, or is. `jump`: the clock was put forward by so much, s, and all times go along. All or
        nothing.
        """
        with self._transaction():
            if jump:
                self._sql.execute("UPDATE robots SET seen_at = seen_at + ?", (jump,))
            if now >= _FIRST_BRAIN:
                self._sql.execute(
                    "UPDATE robots SET seen_at = ? WHERE seen_at < ?", (now, _FIRST_BRAIN)
                )
            self._sql.executemany(
                "INSERT OR REPLACE INTO robots VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (row.robot, row.seen_at, row.last_turn, row.last_reply, len(row.messages),
                     row.messages)
                    for row in rows
                ],
            )  # fmt: skip
            self._sql.executemany("DELETE FROM robots WHERE robot = ?", [(name,) for name in gone])
            self._sql.executemany(
                "UPDATE robots SET seen_at = ? WHERE robot = ?", [(now, name) for name in connected]
            )
            self._sql.execute("UPDATE robots SET seen_at = ? WHERE seen_at > ?", (now, now))
            self._sql.execute("DELETE FROM robots WHERE seen_at < ?", (now - limits.age_s,))
            self._sql.execute(_TOO_MUCH, (limits.robots, limits.size))
            self._sql.execute("DELETE FROM forgotten WHERE at < ?", (now - _TOMBSTONES_S,))

    def forget(self, robot: str, now: float) -> bool:
        """Delete a robot's row, and tell a brain that has the file open. False: there was none."""
        with self._transaction():
            found = self._sql.execute("DELETE FROM robots WHERE robot = ?", (robot,)).rowcount > 0
            self._sql.execute("INSERT INTO forgotten (robot, at) VALUES (?, ?)", (robot, now))
        self.checkpoint()
        return found

    def newly_forgotten(self) -> tuple[str, ...]:
        """Whom `forget` of another process has deleted since this was last asked."""
        version = self._one("PRAGMA data_version")  # costs next to nothing, unlike a query
        if version == self._seen_version:
            return ()
        found = self._sql.execute(
            "SELECT id, robot FROM forgotten WHERE id > ? ORDER BY id", (self.last_forgotten,)
        ).fetchall()
        self._seen_version = version
        if found:
            self.last_forgotten = found[-1][0]
        return tuple(robot for _, robot in found)

    def checkpoint(self) -> None:
        """Leave nothing of what was deleted in the log file, unless somebody reads just now."""
        self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Twice is the same as once."""
        self._sql.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:  # SQLite itself takes it back where the disk is full
                self._sql.execute("ROLLBACK")
            raise

    def _one(self, query: str) -> Any:
        return self._sql.execute(query).fetchone()[0]


def is_damage(error: Exception) -> bool:
    """Whether it says that the file itself is broken, and not that it can't be reached just now."""
    return type(error) is sqlite3.DatabaseError


def set_aside(folder: Path) -> Path:
    """Move a damaged file out of the way, in the place of an earlier one. Raises `OSError`."""
    aside = folder / DAMAGED
    (folder / FILE).replace(aside)
    for suffix in ("-wal", "-shm"):
        (folder / (FILE + suffix)).unlink(missing_ok=True)
    return aside
