"""The two small scripts of the units, with stand-ins for `systemctl` and for /proc."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
HOUR = 3600

# Stand-in for systemctl: it writes down what it is asked, and knows one service.
SYSTEMCTL = """#!/bin/sh
case "$*" in
    *NRestarts*) cat "$HERE/restarts" ;;
    *ExecMainStatus*) cat "$HERE/status" ;;
    *is-failed*) test -e "$HERE/failed" ;;
    *) echo "$*" >>"$HERE/asked" ;;
esac
"""


@dataclass
class Machine:
    """What `brain-last-resort` meets."""

    folder: Path
    uptime_s: float = 300.0
    most: int = 3

    @property
    def counter(self) -> Path:
        return self.folder / "state" / "reboots"

    def set_up(self, *, restarts: int = 7, status: int = 1, failed: bool = True) -> None:
        (self.folder / "state").mkdir(exist_ok=True)
        program = self.folder / "systemctl"
        program.write_text(SYSTEMCTL)
        program.chmod(0o755)
        (self.folder / "restarts").write_text(f"{restarts}\n")
        (self.folder / "status").write_text(f"{status}\n")
        if failed:
            (self.folder / "failed").touch()
        else:
            (self.folder / "failed").unlink(missing_ok=True)

    def worn_out(self) -> tuple[list[str], str]:
        """What systemctl is asked to do, and what a person is told."""
        (self.folder / "asked").write_text("")
        (self.folder / "uptime").write_text(f"{self.uptime_s:.2f} 10.00\n")
        told = subprocess.run(
            ["/bin/sh", UNITS / "brain-last-resort"], capture_output=True, text=True, timeout=20,
            env={
                "PATH": f"{self.folder}:{os.environ['PATH']}", "HERE": str(self.folder),
                "STATE_DIRECTORY": str(self.folder / "state"), "REBOOTS": str(self.most),
                "PROC_UPTIME": str(self.folder / "uptime"), "PAUSE_S": "0",
            },
        )  # fmt: skip
        return (self.folder / "asked").read_text().splitlines(), told.stderr


REBOOT = ["--no-block reboot"]
TRIED_AGAIN = ["reset-failed brain.service", "--no-block start brain.service"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.set_up()
    return made


def test_it_restarts_the_machine_three_times_and_then_lets_it_be(machine: Machine) -> None:
    for _ in range(3):
        assert machine.worn_out()[0] == REBOOT
    for _ in range(2):
        asked, told = machine.worn_out()
        assert asked == TRIED_AGAIN
        assert "didn't help" in told


def test_a_machine_that_was_well_for_long_counts_anew(machine: Machine) -> None:
    machine.counter.write_text("3\n")
    machine.uptime_s = 7 * HOUR
    assert machine.worn_out()[0] == REBOOT
    assert machine.counter.read_text() == "1\n"
    machine.uptime_s = 60
    assert machine.worn_out()[0] == REBOOT
    assert machine.counter.read_text() == "2\n"


@pytest.mark.parametrize("left", ["", "two\n", "\x00\x00", "-1\n", "99999999999999999999\n"])
def test_a_counter_that_a_power_cut_broke_is_taken_for_full(machine: Machine, left: str) -> None:
    machine.counter.write_text(left)
    assert machine.worn_out()[0] == TRIED_AGAIN


def test_what_can_not_be_counted_is_not_done(machine: Machine) -> None:
    (machine.folder / "state").rmdir()
    asked, told = machine.worn_out()
    assert asked == TRIED_AGAIN
    assert "can't be written" in told


def test_bad_settings_restart_no_machine(machine: Machine) -> None:
    machine.set_up(status=78)
    asked, told = machine.worn_out()
    assert asked == TRIED_AGAIN
    assert "settings" in told
    assert not machine.counter.exists()


@pytest.mark.parametrize("restarts", [0, 6])
def test_a_person_who_stops_it_is_not_punished(machine: Machine, restarts: int) -> None:
    machine.set_up(restarts=restarts)
    assert machine.worn_out()[0] == []
    assert not machine.counter.exists()


def test_it_can_be_forbidden(machine: Machine) -> None:
    machine.most = 0
    assert machine.worn_out()[0] == TRIED_AGAIN


def test_who_saw_to_it_in_the_meantime_is_left_alone(machine: Machine) -> None:
    machine.most = 0
    machine.set_up(failed=False)
    assert machine.worn_out()[0] == []


def prepare(root: Path, wait_s: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", UNITS / "brain-memory-prepare"], capture_output=True, text=True, timeout=30,
        env={"PATH": os.environ["PATH"], "PREPARE_ROOT": str(root), "PREPARE_WAIT_S": str(wait_s)},
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/sys/vm").mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "etc").mkdir()
    return tmp_path


def test_the_memory_is_given_back_and_joined(root: Path) -> None:
    told = prepare(root)
    assert (told.returncode, told.stderr) == (0, "")
    assert (root / "proc/sys/vm/drop_caches").read_text() == "3\n"
    assert (root / "proc/sys/vm/compact_memory").read_text() == "1\n"


def test_a_jetson_without_its_gpu_is_told_and_goes_on(root: Path) -> None:
    (root / "etc/nv_tegra_release").touch()
    told = prepare(root)
    assert told.returncode == 0
    assert "no GPU" in told.stderr
    assert (root / "proc/sys/vm/drop_caches").exists()
    (root / "dev/nvhost-ctrl-gpu").touch()
    assert prepare(root).stderr == ""


def test_memory_that_can_not_be_prepared_is_no_reason_not_to_start(tmp_path: Path) -> None:
    told = prepare(tmp_path)
    assert told.returncode == 0
    assert told.stderr.count("stays as it is") == 2
