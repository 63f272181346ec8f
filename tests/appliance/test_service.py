"""The installed service as it is meant to run: at boot, without network, heard and answered."""

from __future__ import annotations

import time
from pathlib import Path

from tests.appliance.figures import FIGURES
from tests.appliance.guest import Guest
from tests.appliance.install import install

QUESTIONS = Path(__file__).parents[2] / "tools" / "demo" / "questions"
IDLE_S = 20.0


def test_it_is_up_at_boot_without_network(guest: Guest) -> None:
    assert guest.shell("ls /sys/class/net") == "lo"
    assert guest.show("ActiveState") == "active"
    assert guest.show("NRestarts") == "0"
    assert guest.show("StatusText").startswith("ready; vad silero")
    assert guest.systemctl("is-system-running", check=False) == "running", guest.systemctl(
        "--failed"
    )
    now = guest.ready()
    assert now["ready"]
    assert not now["degraded"]
    assert now["profile"] == "pocket"
    assert now["problems"] == []
    assert now["history"]["store"] == "sqlite"
    status = guest.shell(f"cat /proc/{guest.show('MainPID')}/status")
    user = guest.shell("id -u brain")
    assert f"Uid:\t{user}\t{user}\t{user}\t{user}" in status
    assert "CapEff:\t0000000000000000" in status
    assert "Seccomp:\t2" in status


def test_a_robot_is_heard_and_answered(guest: Guest) -> None:
    told = guest.talk("--wav", guest.put(QUESTIONS / "name.wav"))
    assert "what is your name" in told["heard"].lower(), told
    assert told["said"]
    assert told["reason"] == "completed"
    assert told["sound_s"] > 0.5
    assert told["loudest"] > 1_000


def test_installing_it_once_more_changes_nothing(guest: Guest) -> None:
    pid = guest.show("MainPID")
    said = install(guest, "now", "--profile", "pocket")
    assert "nothing changed, and the brain is running" in said
    assert guest.show("MainPID") == pid


def test_a_field_tech_is_told_what_is_in_force(guest: Guest) -> None:
    lines = [line.split() for line in guest.shell("brain settings").splitlines()]
    assert ["BRAIN_PROFILE", "pocket", "/etc/brain/brain.env:3"] in lines, lines
    assert "appliance" in guest.shell("brain history list")  # by root: the service's own store


def test_it_stops_in_good_order_and_starts_soon(guest: Guest) -> None:
    waits = []
    for _ in range(3):
        guest.systemctl("stop", "brain.service")
        assert guest.show("Result") == "success"
        assert guest.show("SubState") == "dead"
        assert guest.show("ExecMainStatus") == "0"
        assert (
            guest.shell("find /proc -maxdepth 1 -user brain; find /run -maxdepth 1 -name brain")
            == ""
        )
        since = time.monotonic()
        guest.systemctl("start", "brain.service")  # returns with READY=1
        waits.append(time.monotonic() - since)
    assert "gone down" in guest.journal("brain.service")
    FIGURES["systemctl start to READY, pocket"] = ", ".join(f"{wait:.2f} s" for wait in waits)
    assert min(waits) <= 4.0


def test_it_costs_little_while_nobody_speaks(guest: Guest) -> None:
    guest.talk("--text", "Hello robot.")
    pid = guest.show("MainPID")
    hertz = int(guest.shell("getconf CLK_TCK"))

    def used_s() -> float:
        fields = guest.shell(f"cat /proc/{pid}/stat").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / hertz

    time.sleep(2)
    before, since = used_s(), time.monotonic()
    time.sleep(IDLE_S)
    share = (used_s() - before) / (time.monotonic() - since)
    memory = guest.shell(f"grep -E '^Vm(RSS|HWM)' /proc/{pid}/status").split()
    FIGURES["CPU while idle"] = f"{100 * share:.2f} % of a core, over {IDLE_S:g} s"
    FIGURES["memory of the brain"] = (
        f"{int(memory[4]) / 1024:.0f} MB, {int(memory[1]) / 1024:.0f} MB at most"
    )
    assert share <= 0.01
