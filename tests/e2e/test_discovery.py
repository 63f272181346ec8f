"""Real brains on a network of the test's own, and a robot that knows no address."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.lan import Lan, Machine, a_lan
from tests.e2e.lan_robot import a_lan_robot


@dataclass
class LanBrain:
    """`brain serve`, the whole of it. `log` is a file with all that it said."""

    process: subprocess.Popen[bytes]
    log: Path

    def until_said(self, words: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while words not in self.log.read_text():
            assert time.monotonic() < end, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()


@contextlib.contextmanager
def a_brain(folder: Path, machine: Machine, host: str, **settings: str) -> Iterator[LanBrain]:
    log = folder / "brain.log"
    flags = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    ours = ("INVOCATION_ID", "NOTIFY_SOCKET")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    serve = [sys.executable, "-m", "brain", "serve", "--profile", "pocket", "--host", host, *flags]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            machine.command(*serve),
            stdout=sink,
            stderr=sink,
            cwd=folder,
            env={**environment, "BRAIN_CONFIG_DIR": str(folder)},
        )
    brain = LanBrain(process, log)
    try:
        yield brain
    finally:
        if process.poll() is None:
            brain.stop()


@pytest.fixture
def lan() -> Iterator[Lan]:
    with a_lan() as network:
        yield network


@pytest.mark.setting("DISCOVERY", "BRAIN_NAME")
def test_a_robot_that_knows_no_address(lan: Lan, tmp_path_factory: pytest.TempPathFactory) -> None:
    here, silent_one = lan.add("10.9.0.1/24"), lan.add("fe80::2/64")
    folder = tmp_path_factory.mktemp
    with (
        a_brain(folder("k"), here, "0.0.0.0", BRAIN_NAME="kitchen") as kitchen,
        a_brain(folder("s"), silent_one, "::", BRAIN_NAME="silent", DISCOVERY="0") as silent,
        a_lan_robot(lan.add("10.9.0.9/24")) as robot,
        a_lan_robot(lan.add("fe80::9/64"), "fe80::2%eth0") as told_robot,
    ):
        kitchen.until_said("announced as 'kitchen' at 10.9.0.1 port 8100")
        silent.until_said("ready: profile pocket")
        kitchen_1 = "'kitchen' (10.9.0.1:8100, profile pocket)"
        assert robot.ask("talk") == {
            "resumed": False, "reasons": [], "said": [f"found the brain {kitchen_1}"],
        }  # fmt: skip
        told_robot.ask("talk")
        assert told_robot.ask("list")["brains"] == [], "it is there, and doesn't say so"

        # Another address, as after a DHCP lease has run out: the old one is dead without a word.
        here.move("10.9.0.77/24")
        again = robot.ask("talk")
        assert again["resumed"]
        assert again["said"] == ["found the brain 'kitchen' (10.9.0.77:8100, profile pocket)"]
        kitchen.stop()
        assert robot.ask("list")["brains"] == [], "it has said goodbye"
