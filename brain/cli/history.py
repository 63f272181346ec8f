"""`brain history`: which conversations are kept, and forgetting one. Never what was said."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from brain.cli.failing import failed
from brain.history.database import DAMAGED, FILE, Database, Row
from brain.history.port import POLL_S
from brain.history.records import BadRecord, decode
from brain.settings import Settings
from brain.settings.places import SERVICE_DIR, state_dir


class Kept(Protocol):
    """Where conversations are kept. Methods raise `sqlite3.Error` or `OSError`."""

    def rows(self) -> tuple[Row, ...]: ...

    def forget(self, robot: str, now: float) -> bool: ...

    def close(self) -> None: ...


def list_robots(settings: Settings) -> int:
    """Print the robots whose conversation is kept; 1 if that can't be read."""
    return _with_database(settings, _list)


def forget(settings: Settings, robot: str) -> int:
    """Delete a robot's conversation, from a running brain as well; 1 if there is none."""
    return _with_database(settings, lambda database, where: _forget(database, where, robot))


def _list(database: Kept, where: str) -> int:
    rows = database.rows()
    if not rows:
        print(f"{where} has no conversation")
        return 0
    print("robot\tuser turns\tKiB\tlast there")
    for row in rows:
        try:
            turns = str(sum(message.role == "user" for message in decode(row.messages)))
        except BadRecord:
            turns = "unreadable"
        size = len(row.messages) / 1024
        seen = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(row.seen_at))
        print(f"{row.robot}\t{turns}\t{size:.1f}\t{seen}")
    return 0


def _forget(database: Kept, where: str, robot: str) -> int:
    found = database.forget(robot, time.time())
    if isinstance(database, Database):
        damaged = database.path.with_name(DAMAGED)
        if damaged.exists():  # nobody can tell what is in it
            damaged.unlink()
            print(f"{damaged}: deleted too")
    if not found:
        return failed(f"{where} has no robot {robot!r}; `brain history list` tells them")
    print(f"{robot}: forgotten; a brain that is running forgets it within {POLL_S:.0f} s")
    return 0


def _folder(settings: Settings) -> Path:
    """The service's, for whoever may look there and names no other: what a robot said to it is what
    is asked for, and not what root once said to a brain of its own."""
    if not settings.state_dir and os.access(SERVICE_DIR / FILE, os.R_OK | os.W_OK):
        return SERVICE_DIR
    return state_dir(settings, os.environ)


def _with_database(settings: Settings, use: Callable[[Kept, str], int]) -> int:
    if settings.shared_history:
        return _with_shared(settings, use)
    try:
        folder = _folder(settings)
        if not (folder / FILE).exists():
            print(f"no conversations in {folder} (STATE_DIR names another folder)", file=sys.stderr)
            return 1
        database = Database(folder)
    except (sqlite3.Error, OSError) as error:
        return failed(f"the conversations can't be read: {error}")
    return _using(database, str(database.path), use)


def _with_shared(settings: Settings, use: Callable[[Kept, str], int]) -> int:
    try:
        from brain.history.shared_database import SharedDatabase
        from brain.history.shared_record import place

        database = SharedDatabase(settings.history_store)
    except ImportError:
        return failed("HISTORY_STORE is an address: install the brain with its extra fleet")
    except OSError as error:
        return failed(f"the conversations can't be read: {place(settings.history_store)}: {error}")
    return _using(database, place(settings.history_store), use)


def _using(database: Kept, where: str, use: Callable[[Kept, str], int]) -> int:
    try:
        return use(database, where)
    except (sqlite3.Error, OSError) as error:
        return failed(f"{where}: {error}")
    finally:
        database.close()
