"""systemd 247, of Debian 11: nothing in the units is newer, and they live through the same.

The brain itself doesn't run there (Python 3.9): `inside/notifying.py` stands in for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.appliance.conftest import REPOSITORY, given
from tests.appliance.guest import INSIDE, Guest, booted, unpacked

UNITS = REPOSITORY / "deploy" / "systemd"
DROP_INS = {
    "jetson": ["10-jetson"],
    "jetson-devices": ["10-jetson", "20-devices"],
    "desktop": ["10-desktop"],
    "vllm": ["10-desktop", "30-vllm"],
}
_FILES = {"20-devices": "jetson-devices.conf"}


@pytest.fixture(scope="module")
def old() -> Iterator[Guest]:
    """Booted, with the units and what they name in place."""
    root = unpacked(given("APPLIANCE_DEBIAN_11"), given("APPLIANCE_RUN") / "debian11")
    current = root / "opt/robot-brain/current"
    (current / "bin").mkdir(parents=True)
    shutil.copytree(UNITS, current / "deploy/systemd")
    brain = current / "bin/brain"
    brain.write_text("#!/usr/bin/python3\n" + (INSIDE / "notifying.py").read_text())
    brain.chmod(0o755)
    for unit in UNITS.glob("brain*.service"):
        shutil.copy(unit, root / "etc/systemd/system")
    for place in ("sysusers", "tmpfiles"):
        shutil.copy(UNITS / f"brain.{place}.conf", root / f"usr/lib/{place}.d/robot-brain.conf")
    with booted(root, "debian11") as guest:
        assert guest.shell("systemctl --version").startswith("systemd 247 ")
        guest.run("systemd-sysusers")
        guest.run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/robot-brain.conf")
        yield guest


def drop_in(guest: Guest, name: str) -> None:
    file = UNITS / "drop-ins" / _FILES.get(name, f"{name.partition('-')[2]}.conf")
    guest.drop_in(f"{name}.conf", file.read_text())


@pytest.mark.parametrize("profile", ["plain", *DROP_INS])
def test_nothing_in_the_units_is_newer(old: Guest, profile: str) -> None:
    names = DROP_INS.get(profile, [])
    for name in names:
        drop_in(old, name)
    try:
        units = " ".join(
            f"/etc/systemd/system/{unit.name}" for unit in UNITS.glob("brain*.service")
        )
        # (It tells unknown keys, and ends well all the same.)
        told = old.run("sh", "-c", f"systemd-analyze verify {units} 2>&1", check=False)
    finally:
        for name in names:
            old.drop_in(f"{name}.conf", "")
    # (nvidia-modprobe and jetson_clocks are not there; their units' conditions say so as well.)
    wrong = [
        line for line in told.stdout.splitlines()
        if "brain" in line and "nvidia-modprobe" not in line and "jetson_clocks" not in line
    ]  # fmt: skip
    assert wrong == []


def test_it_lives_through_the_same(old: Guest) -> None:
    (old.root / "etc/brain-token").write_text("a-token\n")
    old.drop_in(
        "50-test.conf",
        "[Service]\nWatchdogSec=3\nRestartSec=0.5\nLoadCredential=token:/etc/brain-token\n",
    )
    old.systemctl("enable", "brain.service")
    old.systemctl("start", "brain.service")
    assert old.show("StatusText") == "ready; a stand-in"
    said = old.journal("brain.service")
    assert "credential: a-token" in said
    assert "state in /var/lib/brain" in said

    pid = old.show("MainPID")
    old.shell(f"kill -9 {pid}")
    old.restarted(pid)

    pid = old.show("MainPID")
    old.shell("touch /run/brain/hang && chown brain /run/brain/hang")
    old.restarted(pid)
    assert "Watchdog timeout" in old.journal("brain.service")
    assert old.show("NRestarts") == "2"

    old.systemctl("stop", "brain.service")
    assert old.show("Result") == "success"
    assert old.show("SubState") == "dead"
    assert "gone down" in old.journal("brain.service")


def test_the_last_resort_restarts_the_machine_and_stops_doing_so(old: Guest) -> None:
    """What fails for good: eight starts, then the machine; `reboot` itself is kept from it here."""
    old.drop_in("60-worn-out.conf", "[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=0.1\n")
    (old.root / "usr/local/bin/systemctl").write_text(
        '#!/bin/sh\ncase "$*" in *reboot*) echo "stand-in: $*" ;; '
        '*) exec /bin/systemctl "$@" ;; esac\n'
    )
    (old.root / "usr/local/bin/systemctl").chmod(0o755)
    old.systemctl("start", "brain.service", check=False)
    old.until("ActiveState", "failed")
    old.until("NRestarts", "8")
    old.shell(
        "for i in $(seq 100); do journalctl -u brain-last-resort | grep -q stand-in && exit;"
        " sleep 0.1; done; exit 1"
    )
    assert "restarting the machine (1 of 3)" in old.journal("brain-last-resort.service")
    assert (old.root / "var/lib/brain-last-resort/reboots").read_text() == "1\n"
