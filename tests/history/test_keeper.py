"""Keeping on a thread: what is found again, what a bad disk does, what is heard of it."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from brain.dialogue.history import Said
from brain.dialogue.memory import Kept
from brain.history import database
from brain.history.database import DAMAGED, FILE, Database, Limits, Row
from brain.history.keeper import HistoryKeeper, Restored

LIMITS = Limits(age_s=1800, robots=50, size=1_000_000)
ANNA = Kept((Said("user", "My name is Anna.", turn=3),), 3, 4)
BEN = Kept((Said("user", "My name is Ben.", turn=1),), 1, 1)


class Clock:
    """`now` goes on as time does; `off` is by how much it is wrong."""

    def __init__(self, now: float = 1_000_000.0, off: float = 0.0) -> None:
        self.now = now
        self.off = off

    def __call__(self) -> float:
        return self.now + self.off

    def steady(self) -> float:
        return self.now


def a_keeper(folder: Path, clock: Clock | None = None) -> HistoryKeeper:
    clock = clock or Clock()
    return HistoryKeeper(folder, LIMITS, clock=clock, steady=clock.steady)


def kept_in(folder: Path) -> dict[str, Kept]:
    """As another process finds it."""
    return {found.robot: found.kept for found in a_keeper(folder).load()}


def test_what_is_kept_is_found_by_the_next_process(tmp_path: Path) -> None:
    async def main() -> None:
        first = a_keeper(tmp_path)
        assert await first.start() == ()
        first.keep("r1", BEN, connected=True)
        first.keep("r1", ANNA, connected=False)
        await first.close()
        clock = Clock()
        clock.now += 60
        second = a_keeper(tmp_path, clock)
        assert await second.start() == (Restored("r1", ANNA, 60.0),)
        second.forget("r1")
        await second.close()
        assert kept_in(tmp_path) == {}

    asyncio.run(main())


def test_a_slow_disk_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = threading.Event()
    really_save = Database.save

    def save_slowly(self: Database, rows: list[Row], **rest: Any) -> None:
        if rows:
            assert threading.current_thread().name == "history"
            loop.call_soon_threadsafe(writing.set)
            assert disk.wait(30)
        really_save(self, rows, **rest)
        if rows:
            loop.call_soon_threadsafe(written.set)

    async def main() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        keeper = a_keeper(tmp_path)
        await keeper.start()
        keeper.keep("r1", BEN, connected=True)
        await asyncio.wait_for(writing.wait(), 30)
        keeper.keep("r1", ANNA, connected=True)  # returns, though the disk does not
        assert not written.is_set()
        disk.set()
        await asyncio.wait_for(written.wait(), 30)
        await keeper.close()
        assert kept_in(tmp_path) == {"r1": ANNA}

    loop: asyncio.AbstractEventLoop
    writing, written = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(Database, "save", save_slowly)
    asyncio.run(main())


def test_a_robot_that_is_there_and_silent_does_not_age(tmp_path: Path) -> None:
    clock = Clock()
    keeper = a_keeper(tmp_path, clock)
    keeper.load()
    keeper.keep("there", ANNA, connected=True)
    keeper.keep("gone", BEN, connected=False)
    for _ in range(8):
        keeper.work()
        clock.now += 301
    [found] = a_keeper(tmp_path, clock).load()
    assert found.robot == "there"
    assert found.age_s < 302


TODAY = 1_790_000_000.0


@pytest.mark.parametrize("booted_in", [0.0, TODAY - 90 * 86_400, TODAY + 5 * 86_400])
def test_a_clock_that_ntp_sets_right_makes_nothing_old(tmp_path: Path, booted_in: float) -> None:
    yesterday = Clock(TODAY - 86_400)
    keeper = a_keeper(tmp_path, yesterday)
    keeper.load()
    keeper.keep("r0", Kept((Said("user", "I am of yesterday.", turn=1),), 1, 1), connected=False)
    keeper.work()

    clock = Clock(TODAY, off=booted_in - TODAY)
    keeper = a_keeper(tmp_path, clock)
    keeper.load()
    keeper.keep("r1", ANNA, connected=False)
    keeper.work()
    clock.now += 300
    clock.off = 0.0  # NTP
    keeper.keep("r2", BEN, connected=True)
    keeper.work()
    found = {one.robot: one.age_s for one in a_keeper(tmp_path, clock).load()}
    # (Of what an earlier process wrote nobody can tell how old it is, if the clock was behind.)
    assert {robot: found[robot] for robot in ("r1", "r2")} == {"r1": 300.0, "r2": 0.0}
    assert ("r0" in found) == (booted_in < TODAY)
    clock.now += LIMITS.age_s
    assert [one.robot for one in a_keeper(tmp_path, clock).load()] == ["r2"]


@pytest.mark.parametrize("wrote_in", [600.0, TODAY + 50 * 365 * 86_400])
def test_what_was_written_by_a_wrong_clock_is_found_by_a_right_one(
    tmp_path: Path, wrote_in: float
) -> None:
    """The brain was restarted in between, so nobody saw the jump."""
    keeper = a_keeper(tmp_path, Clock(wrote_in))
    keeper.load()
    keeper.keep("r1", ANNA, connected=False)
    keeper.work()
    clock = Clock(TODAY)
    assert a_keeper(tmp_path, clock).load() == (Restored("r1", ANNA, 0.0),)
    clock.now += LIMITS.age_s + 1
    assert a_keeper(tmp_path, clock).load() == ()


def test_a_clock_that_is_put_back_makes_nothing_young(tmp_path: Path) -> None:
    clock = Clock(TODAY)
    keeper = a_keeper(tmp_path, clock)
    keeper.load()
    keeper.keep("r1", ANNA, connected=False)
    keeper.work()
    clock.now += 1_000
    clock.off = -3_600.0
    keeper.work()
    [found] = a_keeper(tmp_path, clock).load()
    assert found.age_s == 1_000.0


def test_a_folder_that_cannot_be_written_costs_no_robot_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "state"
    place.write_text("a file where the folder should be")
    keeper = a_keeper(place)
    with caplog.at_level(logging.INFO):
        assert keeper.load() == ()
        keeper.keep("r1", ANNA, connected=True)
        keeper.work()
        keeper.work()
    assert str(place) in keeper.reason
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1  # not one a retry
    assert "in memory alone" in errors[0].getMessage()
    assert "Anna" not in caplog.text
    place.unlink()
    keeper.keep("r2", BEN, connected=True)
    keeper.work()
    assert keeper.reason == ""
    assert kept_in(place) == {"r1": ANNA, "r2": BEN}  # what waited is written too


def test_what_could_not_be_read_at_the_start_is_found_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LOCKED_S", 0.0)

    async def main() -> None:
        earlier = a_keeper(tmp_path)
        earlier.load()
        earlier.keep("r1", ANNA, connected=False)
        earlier.work()
        other = Database(tmp_path)
        other._sql.execute("PRAGMA locking_mode=EXCLUSIVE")
        earlier._failed(OSError("closed"))
        other._sql.execute("BEGIN EXCLUSIVE")
        found: list[Restored] = []
        keeper = a_keeper(tmp_path)
        keeper.found_late = found.append
        keeper._loop = asyncio.get_running_loop()
        assert keeper.load() == ()
        assert "locked" in keeper.reason
        other._sql.execute("ROLLBACK")
        other.close()
        keeper.work()
        keeper.work()
        await asyncio.sleep(0)
        assert found == [Restored("r1", ANNA, 0.0)]
        assert keeper.reason == ""

    asyncio.run(main())


def test_a_disk_that_fills_up_under_way(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    keeper.load()
    keeper.keep("r1", BEN, connected=True)
    keeper.work()
    assert keeper._database is not None
    pages = keeper._database._one("PRAGMA page_count")
    keeper._database._sql.execute(f"PRAGMA max_page_count={pages}")  # "database or disk is full"
    long = Kept((Said("user", "x" * 100_000, turn=4),), 4, 4)
    keeper.keep("r1", long, connected=True)
    keeper.work()
    assert "full" in keeper.reason
    assert kept_in(tmp_path) == {"r1": BEN}
    keeper.work()  # opened anew, there is room again
    assert keeper.reason == ""
    assert kept_in(tmp_path) == {"r1": long}


@pytest.mark.parametrize("where", [0, 4096])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, where: int
) -> None:
    keeper = a_keeper(tmp_path)
    keeper.load()
    for number in range(40):
        text = f"My name is Anna{number}. " * 100
        keeper.keep(f"r{number}", Kept((Said("user", text),), 1, 1), connected=False)
    keeper.work()
    assert keeper._database is not None
    keeper._database.checkpoint()
    keeper._database.close()
    file = tmp_path / FILE
    content = bytearray(file.read_bytes())
    content[where : where + 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    again = a_keeper(tmp_path)
    with caplog.at_level(logging.INFO):
        assert again.load() == ()
    assert again.reason == ""
    assert DAMAGED in again.note
    assert (tmp_path / DAMAGED).read_bytes() == content
    assert "Anna" not in caplog.text
    again.keep("r1", ANNA, connected=False)
    again.work()
    assert kept_in(tmp_path) == {"r1": ANNA}


def test_what_was_forgotten_while_the_disk_failed_is_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        heard: list[str] = []
        keeper = a_keeper(tmp_path)
        keeper.forgotten = heard.append
        keeper._loop = asyncio.get_running_loop()
        keeper.load()
        keeper.keep("r1", ANNA, connected=False)
        keeper.work()
        keeper._failed(OSError("gone for a while"))
        other = Database(tmp_path)
        assert other.forget("r1", 1_000_000.0)
        other.close()
        keeper.work()
        keeper.work()
        await asyncio.sleep(0)
        assert heard == ["r1"]

    asyncio.run(main())


def test_on_a_disk_that_fails_for_long_strangers_do_not_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    keeper = a_keeper(tmp_path / "state")
    for number in range(5_000):
        keeper.keep(f"r{number}", BEN, connected=False)
    keeper.work()
    assert len(keeper._wanted) == 1_000
    assert "r4999" in keeper._wanted


def test_a_file_of_a_newer_brain_is_left_alone(tmp_path: Path) -> None:
    newer = Database(tmp_path)
    newer._sql.execute("PRAGMA user_version=99")
    newer.close()
    keeper = a_keeper(tmp_path)
    assert keeper.load() == ()
    assert "newer brain" in keeper.reason
    assert not (tmp_path / DAMAGED).exists()


def test_a_row_that_is_no_conversation_costs_no_other(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    keeper.load()
    keeper.keep("r1", ANNA, connected=False)
    keeper.keep("r2", BEN, connected=False)
    keeper.work()
    assert keeper._database is not None
    keeper._database._sql.execute("UPDATE robots SET messages = '{' WHERE robot = 'r1'")
    assert kept_in(tmp_path) == {"r2": BEN}


def test_a_fault_of_our_own_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Database) -> tuple[str, ...]:
        raise ValueError("a mistake")

    async def main() -> None:
        keeper = a_keeper(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(Database, "rows", broken)
            assert await keeper.start() == ()
        assert "fault" in keeper.reason
        keeper.keep("r1", ANNA, connected=True)
        await keeper.close()
        assert kept_in(tmp_path) == {"r1": ANNA}

    asyncio.run(main())


def test_forgotten_from_outside_is_forgotten_inside(tmp_path: Path) -> None:
    async def main() -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        keeper = a_keeper(tmp_path)
        keeper.forgotten = heard.put_nowait
        keeper._loop = asyncio.get_running_loop()
        keeper.load()
        keeper.keep("r1", ANNA, connected=False)
        keeper.work()
        other = Database(tmp_path)
        assert other.forget("r1", 1_000_000.0)
        keeper.keep("r1", ANNA, connected=False)  # what waited was said before
        keeper.work()
        assert await asyncio.wait_for(heard.get(), 30) == "r1"
        keeper.work()
        assert other.rows() == ()
        other.close()
        again = a_keeper(tmp_path)  # what was forgotten before it began is no news to it
        again.forgotten = heard.put_nowait
        assert await again.start() == ()
        again.keep("r1", BEN, connected=False)
        await again.close()
        assert heard.empty()
        assert kept_in(tmp_path) == {"r1": BEN}

    asyncio.run(main())
