"""install.sh on a machine in a folder: what it makes, keeps, goes back to, refuses.

systemd and the payload are stand-ins (appliance_root.py); a real systemd is lived through in
tests/appliance.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.appliance_root import Machine, wheelhouse
from tests.deploy.jetson_root import REPOSITORY

RESTART = "systemctl --no-block start brain.service"
ADMINS = "20-admin.conf"


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheelhouses of two versions, "1" and "2"."""
    folder = tmp_path_factory.mktemp("wheels")
    wheelhouse(folder / "1", "0.1.0", pip_as_it_comes=True)
    wheelhouse(folder / "2", "0.2.0")
    return folder


@pytest.fixture(scope="module")
def template(houses: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """0.1.0, really installed, with profile pocket; and a copy of it that passes for 0.2.0."""
    machine = Machine(tmp_path_factory.mktemp("template")).build()
    done = machine.install("--profile", "pocket", "--offline", houses / "1")
    assert done.status == 0, done.err
    told = machine.install("--upgrade", "--offline", houses / "2", "--dry-run").out
    newer = re.search(r"0\.2\.0-\w{8}", told)
    assert newer is not None, told
    shutil.copytree(machine.base / "current", machine.base / newer[0], symlinks=True)
    return machine


@pytest.fixture
def fresh(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root").build()


@pytest.fixture
def machine(template: Machine, tmp_path: Path) -> Machine:
    """0.1.0 runs, and nothing was before it; 0.2.0 need only be put in force."""
    made = Machine(tmp_path / "root")
    shutil.copytree(template.root, made.root, symlinks=True)
    made.asked()
    return made


def test_what_an_installation_is(template: Machine) -> None:
    current = template.base / "current"
    assert template.linked("current").startswith("0.1.0-")
    told = subprocess.run([current / "bin/brain"], capture_output=True, text=True)
    assert told.stdout.startswith("robot-brain 0.1.0")
    assert (template.root / "usr/local/bin/brain").readlink() == Path(
        "/opt/robot-brain/current/bin/brain"
    )
    text = template.env_file.read_text()
    assert "\nBRAIN_PROFILE=pocket\n" in text
    assert "\nSTATE_DIR=/var/lib/brain\n" in text
    assert template.env_file.stat().st_mode & 0o777 == 0o640
    ours = REPOSITORY / "deploy/systemd"
    for unit in ours.glob("brain*.service"):
        assert (template.root / "etc/systemd/system" / unit.name).read_text() == unit.read_text()
    for name in ("systemd/brain-last-resort", "systemd/brain-memory-prepare", "install.sh"):
        assert (current / "deploy" / name).stat().st_mode & 0o777 == 0o755
    # What to do is told on the machine itself, too: it may have no internet.
    for page in ("docs/operations.md", "README.md"):
        assert (current / page).read_text() == (REPOSITORY / page).read_text()
    assert template.drop_ins() == []


def test_its_service_is_made_and_started_in_order(template: Machine) -> None:
    asked = (template.root / "asked").read_text().splitlines()
    first = [line for line in asked if not line.startswith("sleep")][:7]
    assert [line.partition(" /")[0] for line in first] == [
        "systemd-sysusers",
        "systemctl restart systemd-journald.service",
        "systemctl daemon-reload",
        "systemctl --quiet enable brain.service",
        "systemctl stop brain.service brain-last-resort.service",
        "systemctl reset-failed brain.service brain-last-resort.service",
        RESTART,
    ]


def test_a_dry_run_changes_nothing_and_tells_all(fresh: Machine, houses: Path) -> None:
    before = fresh.tree()
    done = fresh.install("--dry-run", "--profile", "laptop", "--offline", houses / "1")
    assert (done.status, done.err) == (0, "")
    for words in ("would make /opt/robot-brain/0.1.0-", "BRAIN_PROFILE=laptop", "brain.service"):
        assert words in done.out
    assert fresh.tree() == before
    assert fresh.asked() == []


def test_a_dry_run_over_an_installation_changes_nothing(machine: Machine, houses: Path) -> None:
    before = machine.tree()
    for arguments in (
        ("--upgrade", "--profile", "laptop", "--offline", houses / "2"),
        ("--uninstall",),
    ):
        done = machine.install("--dry-run", *arguments)
        assert done.status == 0
        assert "would" in done.out
    assert machine.tree() == before
    assert machine.asked() == []


def test_twice_is_the_same_as_once(machine: Machine, houses: Path) -> None:
    (newer,) = machine.base.glob("0.2.0-*")
    shutil.rmtree(newer)
    before = machine.tree()
    done = machine.install("--profile", "pocket", "--offline", houses / "1")
    assert done.status == 0
    assert machine.tree() == before
    assert machine.asked() == ["systemctl --quiet enable brain.service"]


def test_an_installed_version_can_change_the_profile_by_itself(machine: Machine) -> None:
    """No wheelhouse, no checkout, no internet."""
    kept = machine.root / "etc/systemd/system/brain.service.d" / ADMINS
    kept.parent.mkdir()
    kept.write_text("[Service]\n")
    script = machine.base / "current/deploy/install.sh"
    done = machine.install("--profile", "rtx3090", "--force", script=script)
    assert done.status == 0, done.err
    assert "change BRAIN_PROFILE=pocket to rtx3090 in /etc/brain/brain.env" in done.out
    assert machine.drop_ins() == ["10-desktop.conf", ADMINS]
    assert RESTART in machine.asked()
    done = machine.install("--profile", "laptop", script=script)
    assert done.status == 0, done.err
    assert machine.drop_ins() == [ADMINS]
    assert "10-desktop.conf, which is for another profile" in done.out


def test_wheels_that_do_not_see_the_gpu_are_not_put_in_force(machine: Machine) -> None:
    """The driver is well, and the wheels are for the CPU."""
    smi = machine.root / "usr/bin/nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 3090, 570.86.15, 24576'\n")
    smi.chmod(0o755)
    (machine.root / "dev").mkdir()
    (machine.root / "dev/nvidia-uvm").touch()
    before = machine.tree()
    script = machine.base / "current/deploy/install.sh"
    done = machine.install("--profile", "rtx3090", script=script)
    assert done.status == 2
    assert "error    llama.cpp" in done.out
    assert "ok       driver" in done.out
    assert machine.tree() == before
    assert machine.asked() == []


def test_an_upgrade_keeps_the_version_before(machine: Machine, houses: Path) -> None:
    old = machine.linked("current")
    done = machine.install("--upgrade", "--offline", houses / "2")
    assert done.status == 0, done.err
    assert machine.linked("current").startswith("0.2.0-")
    assert machine.linked("previous") == old
    assert (machine.base / old / ".complete").exists()
    assert RESTART in machine.asked()
    assert machine.install("--rollback").status == 0
    assert machine.linked("current") == old
    assert machine.linked("previous").startswith("0.2.0-")


def test_what_the_brain_says_while_it_loads_is_told(machine: Machine, houses: Path) -> None:
    (machine.root / "unit/slow").write_text("1\n2\n")
    done = machine.install("--upgrade", "--offline", houses / "2")
    assert done.status == 0
    assert done.out.index("loading, 1 to go") < done.out.index("loading, 0 to go")


@pytest.mark.parametrize("why", ["it ends as it starts", "it takes too long"])
def test_a_version_that_is_not_ready_gives_way(machine: Machine, houses: Path, why: str) -> None:
    old = machine.linked("current")
    unit = machine.root / "etc/systemd/system/brain.service"
    settings, before = machine.env_file.read_bytes(), unit.read_text()
    (theirs,) = machine.base.glob("0.2.0-*/deploy/systemd/brain.service")
    theirs.write_text(f"# of 0.2.0\n{before}")
    if why == "it ends as it starts":
        machine.broken("0.2.0")
    else:
        (machine.root / "unit/slow").write_text("\n" * 5)
    done = machine.install(
        "--upgrade", "--profile", "laptop", "--patience", "5", "--offline", houses / "2"
    )
    assert done.status == 1
    assert f"{old} is back in force" in done.err
    assert "the last that it said" in done.err
    assert machine.linked("current") == old
    assert machine.linked("previous") == ""
    assert machine.env_file.read_bytes() == settings
    assert unit.read_text() == before
    assert not (machine.base / ".on-trial").exists()


def test_if_neither_is_ready_that_is_said(machine: Machine, houses: Path) -> None:
    old = machine.linked("current")
    machine.broken("0.1.0", "0.2.0")
    done = machine.install("--upgrade", "--offline", houses / "2")
    assert done.status == 1
    assert "neither" in done.err
    assert machine.linked("current") == old


def test_a_cut_during_the_trial_is_made_good_by_the_next_run(
    machine: Machine, houses: Path
) -> None:
    """0.2.0 was put in force, and the power went before anybody knew whether it would be READY."""
    old = machine.linked("current")
    (new,) = machine.base.glob("0.2.0-*")
    (machine.base / ".on-trial").write_text(f"{old}\n")
    for name, version in (("current", new.name), ("previous", old)):
        (machine.base / name).unlink(missing_ok=True)
        (machine.base / name).symlink_to(version)
    machine.broken("0.2.0")
    (machine.root / "unit/state").write_text("activating\n")
    done = machine.install("--upgrade", "--offline", houses / "2")
    assert done.status == 1
    assert machine.linked("current") == old


def test_a_cut_while_a_version_is_made_leaves_none(machine: Machine, houses: Path) -> None:
    old = machine.linked("current")
    (new,) = machine.base.glob("0.2.0-*")
    shutil.rmtree(new)
    cutting = machine.root / "cutting"
    cutting.write_text(
        "#!/bin/bash\n# Stand-in for a power cut while the environment is made.\n"
        f'if [ "$2" = venv ]; then mkdir -p "$4/bin"; kill -KILL $PPID; exit; fi\n'
        f'exec {new.parent}/{old}/venv/bin/python "$@"\n'
    )
    cutting.chmod(0o755)
    done = machine.install("--python", cutting, "--upgrade", "--offline", houses / "2")
    assert done.status == -9
    assert machine.linked("current") == old
    assert (new / "venv").is_dir()
    assert not (new / ".complete").exists()

    done = machine.install("--upgrade", "--offline", houses / "2")
    assert done.status == 0, done.err
    assert machine.linked("current") == new.name
    assert (new / "venv/bin/brain").exists()


def test_versions_of_long_ago_go(machine: Machine, houses: Path) -> None:
    for name in ("0.0.8-11111111", "0.0.9-22222222"):
        (machine.base / name / "bin").mkdir(parents=True)
    (machine.base / "notes-of-mine").mkdir()
    assert machine.install("--upgrade", "--offline", houses / "2").status == 0
    assert {path.name[:5] for path in machine.base.iterdir() if path.is_dir()} == {
        "0.1.0", "0.2.0", "notes", "curre", "previ",
    }  # fmt: skip


def test_uninstalling_leaves_settings_models_and_conversations(machine: Machine) -> None:
    kept = [machine.root / "var/lib/brain" / name for name in ("models/a.gguf", "history.sqlite3")]
    kept += [machine.root / "etc/systemd/system/brain.service.d" / ADMINS, machine.env_file]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine\n")
    done = machine.install("--uninstall")
    assert done.status == 0, done.err
    assert all(path.read_text() == "mine\n" for path in kept)
    left = {name for name, kind in machine.tree().items() if not kind.startswith("folder")}
    assert left - {str(path.relative_to(machine.root)) for path in kept} == {
        f"usr/bin/{name}"
        for name in ("journalctl", "sleep", "systemctl", "systemd-sysusers", "systemd-tmpfiles")
    }
    asked = machine.asked()
    assert "systemctl --quiet disable brain.service" in asked
    assert asked.index("systemctl daemon-reload") > 1
    assert "nothing is installed" in machine.install("--uninstall").out


def test_a_program_of_the_same_name_stays(machine: Machine) -> None:
    command = machine.root / "usr/local/bin/brain"
    command.unlink()
    command.write_text("somebody else's\n")
    script = machine.base / "current/deploy/install.sh"
    assert "somebody else's and stays" in machine.install("--profile", "pocket", script=script).err
    assert machine.install("--uninstall").status == 0
    assert command.read_text() == "somebody else's\n"


def test_a_place_of_commands_that_cannot_be_written_stops_no_service(machine: Machine) -> None:
    """As on a system whose /usr/local is read-only; here a file is in the way."""
    places = machine.root / "usr/local/bin"
    shutil.rmtree(places)
    places.write_text("")
    done = machine.install("--profile", "laptop", script=machine.base / "current/deploy/install.sh")
    assert done.status == 0, done.err
    assert "the command is /opt/robot-brain/current/bin/brain" in done.err
    assert "is READY with profile laptop" in done.out


def test_where_no_systemd_runs_it_is_left_to_the_next_boot(machine: Machine, houses: Path) -> None:
    """Installing into an image of a disk."""
    shutil.rmtree(machine.root / "run/systemd")
    done = machine.install("--upgrade", "--offline", houses / "2")
    assert done.status == 0
    assert "starts with the next boot" in done.out
    assert machine.asked() == ["systemctl --quiet enable brain.service"]
