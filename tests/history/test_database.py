"""The file: its bounds, its mode, and what is left of the forgotten."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from brain.history.database import FILE, Database, Limits, Newer, Row, is_damage

WIDE = Limits(age_s=3600, robots=100, size=1_000_000)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "state")
    yield opened
    opened.close()


def row(robot: str, at: float, messages: str = "[]") -> Row:
    return Row(robot, at, 1, 1, messages)


def robots(database: Database) -> list[str]:
    return [found.robot for found in database.rows()]


def test_a_row_comes_back_and_is_replaced_as_a_whole(database: Database) -> None:
    database.save([row("r1", 10), row("r2", 11)], now=20, limits=WIDE)
    database.save([Row("r1", 12, 7, 8, "[1]")], now=20, limits=WIDE)
    assert database.rows() == (row("r2", 11), Row("r1", 12, 7, 8, "[1]"))


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(age_s=100, robots=9, size=900), ["b", "c"]),
        (Limits(age_s=900, robots=1, size=900), ["c"]),
        (Limits(age_s=900, robots=9, size=25), ["b", "c"]),
        (Limits(age_s=900, robots=9, size=5), []),
        (Limits(age_s=900, robots=9, size=900), ["a", "b", "c"]),
    ],
)
def test_the_oldest_go_first(database: Database, limits: Limits, kept: list[str]) -> None:
    text = "x" * 10
    database.save([row("c", 300, text), row("a", 100, text), row("b", 250, text)],
                  now=300, limits=limits)  # fmt: skip
    assert robots(database) == kept


def test_who_is_connected_does_not_age(database: Database) -> None:
    database.save([row("a", 0), row("b", 0)], now=0, limits=WIDE)
    database.save([], now=5_000, limits=WIDE, connected=["a"])
    assert robots(database) == ["a"]


def test_a_time_to_come_is_now(database: Database) -> None:
    database.save([row("a", 9e9)], now=100, limits=WIDE)
    assert database.rows()[0].seen_at == 100


def test_nothing_of_a_forgotten_robot_is_left_in_any_file(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.save([row("r1", 10, "My name is Anna. " * 2_000)], now=10, limits=WIDE)
    assert any(b"Anna" in file.read_bytes() for file in tmp_path.iterdir())
    assert database.forget("r1", 11)
    assert not any(b"Anna" in file.read_bytes() for file in tmp_path.iterdir())
    assert not database.forget("r1", 11)
    database.close()


def test_one_learns_what_another_has_forgotten_once(database: Database) -> None:
    other = Database(database.path.parent)
    database.save([row("r1", 10)], now=10, limits=WIDE)
    assert database.newly_forgotten() == ()
    assert other.forget("r1", 11)
    assert database.newly_forgotten() == ("r1",)
    assert database.newly_forgotten() == ()
    other.close()


def test_only_the_owner_may_read_it(database: Database) -> None:
    database.save([row("r1", 10)], now=10, limits=WIDE)
    files = list(database.path.parent.iterdir())
    assert len(files) >= 2  # with the log file
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert database.path.parent.stat().st_mode & 0o777 == 0o700


def test_it_syncs_at_each_write(database: Database) -> None:
    assert database._one("PRAGMA journal_mode") == "wal"
    assert database._one("PRAGMA synchronous") == 2  # FULL


def test_a_failed_write_leaves_all_as_it_was(database: Database) -> None:
    database.save([row("r1", 10)], now=10, limits=WIDE)
    bad = Row("r2", 1, 1, 1, None)  # type: ignore[arg-type]
    with pytest.raises((sqlite3.Error, TypeError)):
        database.save([row("r1", 11, "[2]"), bad], now=12, limits=WIDE)
    assert database.rows() == (row("r1", 10),)


def test_what_is_no_database_is_damage_and_a_newer_one_is_not(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be looked at " * 50)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        Database(tmp_path)
    assert is_damage(caught.value)
    (tmp_path / FILE).unlink()
    newer = Database(tmp_path)
    newer._sql.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(Newer) as refused:
        Database(tmp_path)
    assert not is_damage(refused.value)
    assert not is_damage(sqlite3.OperationalError("database is locked"))


def test_what_root_begins_is_the_services_to_go_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 1234, 4321)
    opened = Database(folder)
    opened.save([row("r", 10)], now=20, limits=WIDE)
    files = list(folder.iterdir())
    assert len(files) == 3, "SQLite gives its other two to the owner of the first"
    assert {file.stat().st_uid for file in files} == {folder.stat().st_uid}
    opened.close()
