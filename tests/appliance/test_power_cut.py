"""A machine with a kernel and a disk of its own: it boots, loses its power in mid-reply, boots.

What a container can't show is shown here, too: which devices the brain may touch, and whom the
kernel spares when memory is short.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance.conftest import REPOSITORY, given
from tests.appliance.figures import FIGURES
from tests.appliance.guest import INSIDE
from tests.appliance.qemu import Machine, accelerator, disk_of, switched_on

PYTHON = "/opt/robot-brain/current/venv/bin/python -I"
TALK = "/var/tmp/talk.py"


@pytest.fixture(scope="module")
def disk(installed: Path) -> Iterator[Path]:
    """The installed system on a disk, with the drop-in of a desktop (which lists devices)."""
    drop_ins = installed / "etc/systemd/system/brain.service.d"
    desktop = REPOSITORY / "deploy/systemd/drop-ins/desktop.conf"
    talk = installed / TALK[1:]
    drop_ins.mkdir(exist_ok=True)
    shutil.copy(desktop, drop_ins / "10-desktop.conf")
    # An emulated processor thinks for ten seconds and more where a real one takes none, and Piper
    # takes it over two minutes to say one second and a half: espeak-ng speaks here.
    emulated = "Environment=LLM_TIMEOUT_S=60 TTS_BACKEND=espeak"
    (drop_ins / "20-emulated.conf").write_text(f"[Service]\n{emulated}\n")
    shutil.copy(INSIDE / "talk.py", talk)
    try:
        image = disk_of(installed, given("APPLIANCE_RUN") / "disk.img")
    finally:
        shutil.rmtree(drop_ins)
        talk.unlink()
    yield image
    image.unlink()


def up(machine: Machine, since: float, boot: str) -> None:
    machine.until("systemctl is-active brain.service")
    FIGURES[f"{boot} boot until READY ({accelerator()})"] = f"{time.monotonic() - since:.0f} s"


@pytest.mark.timeout(1500)  # two boots, emulated
def test_it_outlives_a_power_cut(disk: Path, installed: Path) -> None:
    boot = installed / "boot"
    since = time.monotonic()
    with switched_on(disk, boot) as machine:
        up(machine, since, "first")
        assert machine.shell("ls /sys/class/net") == "lo"
        what_only_a_kernel_shows(machine)
        told = json.loads(
            machine.shell(f"{PYTHON} {TALK} --robot anna --text 'My name is Anna.'", 120)
        )
        assert told["reason"] == "completed", told
        # In the midst of the next one's answer.
        machine.shell(
            f"{PYTHON} {TALK} --robot anna --text 'Tell me a story.' --begun /run/begun"
            " >/dev/null 2>&1 &"
        )
        machine.until("test -e /run/begun", 60)
        machine.cut_power()

    since = time.monotonic()
    with switched_on(disk, boot) as machine:
        up(machine, since, "second")
        assert machine.shell("systemctl show -P StatusText brain.service").startswith("ready; ")
        told = json.loads(
            machine.shell(f"{PYTHON} {TALK} --robot anna --text 'What is my name?'", 120)
        )
        assert told["resumed"], told
        assert "Anna" in told["said"], told
        note = machine.shell(
            f'{PYTHON} -c "import urllib.request as r; '
            'print(r.urlopen(\\"http://127.0.0.1:8100/ready\\").read().decode())"'
        )
        assert json.loads(note)["history"] == {
            "store": "sqlite", "degraded": False, "reason": "", "note": "",
        }  # fmt: skip
        machine.shell("sync")


def what_only_a_kernel_shows(machine: Machine) -> None:
    pid = machine.shell("systemctl show -P MainPID brain.service")
    assert machine.shell(f"cat /proc/{pid}/oom_score_adj") == "-500"
    assert machine.shell("systemctl show -P DevicePolicy brain.service") == "closed"
    # As a process of the unit's control group, and root at that: the list alone is in its way.
    enter = "echo $$ >/sys/fs/cgroup/system.slice/brain.service/cgroup.procs"
    status, said = machine.try_shell(f"{enter} && head -c 1 /dev/vda")
    assert status != 0
    assert "Operation not permitted" in said
    machine.shell(f"{enter} && head -c 1 /dev/urandom >/dev/null")
    machine.shell("head -c 1 /dev/vda >/dev/null")
    assert machine.shell("cat /sys/fs/cgroup/system.slice/brain.service/pids.max") == "1024"
