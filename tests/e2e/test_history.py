"""A conversation outlives the brain: real processes, killed as a power cut would."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from brain.history.database import DAMAGED, FILE
from tests.e2e.pocket import Brain, a_pocket_brain
from tests.e2e.sockets import Robot, a_robot

WHO = "?robot_id=anna"


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Brain]:
    with a_pocket_brain(folder, *arguments) as brain:
        brain.until_ready()
        yield brain


async def told(robot: Robot, text: str) -> str:
    """What the robot answers."""
    await robot.send(type="text", text=text)
    said = await robot.next("transcript_assistant", seconds=30)
    await robot.next("reply_done", seconds=30)
    return str(said["text"])


def kill(brain: Brain) -> None:
    brain.process.send_signal(signal.SIGKILL)
    assert brain.process.wait(20) == -signal.SIGKILL


def a_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "brain", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60,
        env={**os.environ, "BRAIN_CONFIG_DIR": str(folder), "STATE_DIR": str(folder / "state")},
    )  # fmt: skip


def test_kill_9_costs_no_more_than_the_last_turn(tmp_path: Path) -> None:
    highest: dict[str, int] = {}

    async def before(brain: Brain) -> None:
        async with a_robot(brain.address, WHO) as robot:
            assert not (await robot.next("ready"))["resumed"]
            await told(robot, "My name is Anna.")
            await told(robot, "Hello robot.")
            await robot.send(type="text", text="Tell me a joke.")
            await robot.next("reply_started", seconds=30)
            highest.update(
                {key: max(m.get(key) or 0 for m in robot.seen) for key in ("turn", "reply_id")}
            )
            kill(brain)

    async def after(brain: Brain) -> None:
        async with a_robot(brain.address, WHO) as robot:
            assert (await robot.next("ready"))["resumed"]
            assert "Anna" in await told(robot, "What is my name?")
            reply = next(message for message in robot.seen if message["type"] == "reply_started")
            assert reply["turn"] > highest["turn"] == 3
            assert reply["reply_id"] > highest["reply_id"] == 3

    with started(tmp_path) as brain:
        asyncio.run(before(brain))
        said = brain.log.read_text()
    with started(tmp_path) as brain:
        asyncio.run(after(brain))
        assert brain.get("/ready")[1]["history"] == {
            "store": "sqlite", "degraded": False, "reason": "", "note": "",
        }  # fmt: skip
        said += brain.log.read_text()
    assert "Anna" not in said


def test_an_orderly_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    async def before(brain: Brain) -> None:
        async with a_robot(brain.address, WHO) as robot:
            await told(robot, "My name is Anna.")
            brain.process.send_signal(signal.SIGTERM)
            assert await robot.close_code() == 1001

    async def after(brain: Brain) -> None:
        async with a_robot(brain.address, WHO) as robot:
            assert (await robot.next("ready"))["resumed"]
            assert "Anna" in await told(robot, "What is my name?")
            reply = next(message for message in robot.seen if message["type"] == "reply_started")
            assert reply["reply_id"] == 2

    with started(tmp_path) as brain:
        asyncio.run(before(brain))
        assert brain.process.wait(20) == 0
    with started(tmp_path) as brain:
        asyncio.run(after(brain))


def test_a_damaged_database_costs_the_robot_nothing_but_its_history(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE).write_bytes(os.urandom(50_000))

    async def main(brain: Brain) -> None:
        async with a_robot(brain.address, WHO) as robot:
            assert not (await robot.next("ready"))["resumed"]
            assert await told(robot, "Hello robot.")

    with started(tmp_path) as brain:
        asyncio.run(main(brain))
        ready = brain.get("/ready")[1]
        assert not ready["degraded"]
        assert DAMAGED in ready["history"]["note"]
        assert "history: a damaged database" in brain.log.read_text()
    with started(tmp_path) as brain:
        assert brain.get("/ready")[1]["history"]["note"] == ""


def test_where_nothing_can_be_written_memory_alone_holds_it_loudly(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")

    async def main(brain: Brain) -> None:
        async with a_robot(brain.address, WHO) as robot:
            await told(robot, "My name is Anna.")
        async with a_robot(brain.address, WHO) as robot:
            assert (await robot.next("ready"))["resumed"]
            assert "Anna" in await told(robot, "What is my name?")

    with started(tmp_path) as brain:
        asyncio.run(main(brain))
        status, ready = brain.get("/ready")
        assert status == 200
        assert ready["degraded"]
        assert ready["history"]["store"] == "memory"
        assert str(tmp_path / "state") in ready["history"]["reason"]
        assert "history: conversations are in memory alone" in brain.log.read_text()


def test_a_robot_is_forgotten_by_command_while_the_brain_runs(tmp_path: Path) -> None:
    async def before(brain: Brain) -> None:
        async with a_robot(brain.address, WHO) as robot:
            await told(robot, "My name is Anna.")

    async def resumed(brain: Brain) -> bool:
        async with a_robot(brain.address, WHO) as robot:
            return bool((await robot.next("ready"))["resumed"])

    assert a_command(tmp_path, "history", "list").returncode == 1
    with started(tmp_path) as brain:
        asyncio.run(before(brain))
        listed = a_command(tmp_path, "history", "list")
        assert listed.returncode == 0, listed.stderr
        assert [line.split("\t")[:2] for line in listed.stdout.splitlines()] == [
            ["robot", "user turns"], ["anna", "1"],
        ]  # fmt: skip
        assert "Anna" not in listed.stdout
        forgotten = a_command(tmp_path, "history", "forget", "anna")
        assert forgotten.returncode == 0, forgotten.stderr
        again = a_command(tmp_path, "history", "forget", "anna")
        assert again.returncode == 1
        assert "no robot 'anna'" in again.stderr
        deadline = time.monotonic() + 20
        while "was forgotten, by command" not in brain.log.read_text():
            assert time.monotonic() < deadline, brain.log.read_text()
            time.sleep(0.05)
        assert not asyncio.run(resumed(brain))
    files = [file for file in (tmp_path / "state").iterdir() if file.is_file()]
    assert files
    assert not [file for file in files if b"Anna" in file.read_bytes()]


@pytest.mark.setting("HISTORY_STORE")
def test_switched_off_it_is_in_memory_alone(tmp_path: Path) -> None:
    async def main(brain: Brain, *, resumed: bool) -> None:
        async with a_robot(brain.address, WHO) as robot:
            assert (await robot.next("ready"))["resumed"] == resumed
            await told(robot, "Hello robot.")

    off = ("--set", "HISTORY_STORE=off")
    with started(tmp_path, *off) as brain:
        asyncio.run(main(brain, resumed=False))
        asyncio.run(main(brain, resumed=True))
        assert brain.get("/ready")[1]["history"]["store"] == "memory"
        assert not brain.get("/ready")[1]["degraded"]
    assert [file for file in (tmp_path / "state").rglob("*") if file.is_file()] == []
    with started(tmp_path, *off) as brain:
        asyncio.run(main(brain, resumed=False))
