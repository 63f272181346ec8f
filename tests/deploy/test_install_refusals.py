"""What install.sh refuses, before it has changed anything, and what it says to do."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from tests.deploy.appliance_root import ENGINES, Machine, sha256, sign, wheel, wheelhouse
from tests.deploy.jetson_root import Jetson

REFUSED, WRONG_USAGE = 2, 64


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheelhouse(tmp_path_factory.mktemp("wheels") / "whole")


@pytest.fixture
def house(whole: Path, tmp_path: Path) -> Path:
    """A wheelhouse to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "house"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root").build()


def refused(machine: Machine, *arguments: str | Path, says: str, status: int = REFUSED) -> None:
    before = {name: kind for name, kind in machine.tree().items() if "opt" not in name}
    done = machine.install(*arguments)
    assert done.status == status, done.out + done.err
    assert says in done.err + done.out
    after = machine.tree()
    # No more than the folder with the installers' lock.
    ours = {name: after.pop(name) for name in tuple(after) if name.startswith("opt")}
    assert after.keys() == before.keys()
    assert ours.keys() <= {"opt", "opt/robot-brain", "opt/robot-brain/.lock"}
    assert machine.asked() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say which profile"),
        (("--profile", "orin"), "there is no profile orin (but orin-nx, rtx3090"),
        (("--profile",), "--profile wants a value"),
        (("--upgrade", "--uninstall"), "don't go together"),
        (("--profile", "pocket", "--patience", "0"), "isn't a number of seconds"),
        (("--profile", "pocket", "--ofline", "x"), "--ofline isn't known"),
        (("pocket",), "pocket isn't known"),
    ],
)
def test_wrong_usage(machine: Machine, arguments: tuple[str, ...], says: str) -> None:
    refused(machine, *arguments, says=says, status=WRONG_USAGE)


@pytest.mark.parametrize("task", ["--upgrade", "--rollback"])
def test_where_nothing_is_installed(machine: Machine, task: str) -> None:
    says = "nothing is installed" if task == "--upgrade" else "no version before"
    refused(machine, task, says=says)


def spoil(house: Path, name: str) -> None:
    """Each way in which a wheelhouse can be no good."""
    requirements = house / "requirements.txt"
    text = requirements.read_text("utf-8")
    (brain,) = house.glob("robot_brain-*.whl")
    if name == "damaged":
        damaged = bytearray(brain.read_bytes())
        damaged[40] ^= 1
        brain.write_bytes(damaged)
        return
    if name == "cut off":
        (house / "SHA256SUMS").unlink()
        return
    if name == "unsigned":
        sums = (house / "SHA256SUMS").read_text().splitlines(keepends=True)
        (house / "SHA256SUMS").write_text("".join(s for s in sums if "robot_brain" not in s))
        return
    if name == "two brains":
        shutil.copy(brain, house / "robot_brain-0.0.9-py3-none-any.whl")
    elif name == "another Python":
        wheel(house, "numpy", "2.0", {}, f"cp399-cp399-manylinux_2_17_{platform.machine()}")
    elif name == "another processor":
        wheel(house, "numpy", "2.0", {}, "py3-none-manylinux_2_17_riscv64")
    elif name == "no ears":
        lines = text.replace("faster-whisper==", "slower-whisper==")
        requirements.write_text(lines, "utf-8")
    elif name == "torch":
        made = wheel(house, "torch", "2.9", {})
        requirements.write_text(f"{text}torch==2.9 --hash=sha256:{sha256(made)}\n", "utf-8")
    sign(house)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("damaged", "isn't whole: copy it again"),
        ("cut off", "isn't whole: copy it again"),
        ("unsigned", "does not name robot_brain-0.1.0"),
        ("two brains", "or more than one"),
        ("another Python", "the wheels are for cp399"),
        ("another processor", "is for another processor"),
        ("no ears", "profile laptop needs faster-whisper"),
        ("torch", "names torch, which nothing but vLLM needs"),
    ],
)
def test_a_wheelhouse_that_is_no_good(machine: Machine, house: Path, name: str, says: str) -> None:
    spoil(house, name)
    refused(machine, "--profile", "laptop", "--offline", house, says=says)


def test_a_wheelhouse_that_is_not_there(machine: Machine, tmp_path: Path) -> None:
    there = tmp_path / "stick"
    refused(machine, "--profile", "laptop", "--offline", there, says=f"no folder {there}")


def test_a_profile_whose_mind_no_wheel_brings(machine: Machine, whole: Path) -> None:
    ti = ("--profile", "rtx3090ti", "--force", "--offline", whole)
    refused(machine, *ti, says="build-wheelhouse.sh --extra vllm")
    refused(machine, *ti, says="with --profile rtx3090; or --without-extra")
    told = machine.install(*ti, "--without-extra", "--dry-run")
    assert told.status == 0
    assert "will serve, but degraded" in told.err
    assert "would write /etc/systemd/system/brain.service.d/30-vllm.conf" in told.out


_OLD_PYTHON = """#!/bin/bash
# Stand-in for a Python 3.10 of the system.
echo cp310 /usr
"""


def test_a_python_that_vllm_does_not_run_on(machine: Machine, whole: Path) -> None:
    python = machine.root / "usr/bin/python3.10"
    python.write_text(_OLD_PYTHON, "utf-8")
    python.chmod(0o755)
    (whole.parent / "vllm").exists() or wheelhouse(
        whole.parent / "vllm", engines=(*ENGINES, "torch", "vllm")
    )
    ti = ("--profile", "rtx3090ti", "--force", "--python", python)
    offline = ("--offline", whole.parent / "vllm")
    says = f"vLLM, the mind of profile rtx3090ti, needs Python 3.11 or later, and {python} is 3.10"
    refused(machine, *ti, *offline, says=says)
    refused(machine, *ti, *offline, says="no Python from 3.11 to 3.13")
    refused(machine, *ti, *offline, says="--profile rtx3090 serves on it")
    told = machine.install(*ti, "--offline", whole, "--without-extra", "--dry-run")
    assert told.status == 0, told.err


def test_a_machine_that_its_preflight_finds_unfit(machine: Machine, whole: Path) -> None:
    for profile, finds in (("rtx3090", "no NVIDIA driver"), ("orin-nx", "this isn't a Jetson")):
        refused(machine, "--profile", profile, "--offline", whole, says=finds)
        told = machine.install("--profile", profile, "--offline", whole, "--force", "--dry-run")
        assert told.status == 0
        assert "--force: going on" in told.err


def test_a_jetson_that_is_fit_gets_what_is_a_jetsons(machine: Machine, whole: Path) -> None:
    shutil.rmtree(machine.root)
    Jetson(machine.root).build()
    machine.build()
    told = machine.install("--profile", "orin-nx", "--offline", whole, "--dry-run")
    assert (told.status, told.err) == (0, "")
    assert "would write /etc/systemd/system/brain.service.d/10-jetson.conf" in told.out
    assert "10-desktop" not in told.out


def test_a_full_disk(machine: Machine, whole: Path) -> None:
    df = machine.root / "usr/bin/df"
    df.write_text("#!/bin/bash\n# Stand-in for df.\nprintf 'heads\\n/dev/x 9 9 51200 9%% /\\n'\n")
    df.chmod(0o755)
    refused(machine, "--profile", "pocket", "--offline", whole, says="50 MB are free")


def test_an_old_systemd(machine: Machine, whole: Path) -> None:
    systemctl = machine.root / "usr/bin/systemctl"
    systemctl.write_text(systemctl.read_text().replace("systemd 252", "systemd 245"))
    says = "systemd 247 or later; here is 245"
    refused(machine, "--profile", "pocket", "--offline", whole, says=says)


def test_a_library_that_is_missing_is_named_with_its_package(machine: Machine, house: Path) -> None:
    message = "libgomp.so.1: cannot open shared object file: No such file or directory"
    broken = wheel(
        house, "llama-cpp-python", "1.0",
        {"llama_cpp/__init__.py": f"raise ImportError({message!r})\n"},
    )  # fmt: skip
    requirements = house / "requirements.txt"
    lines = requirements.read_text("utf-8").splitlines()
    lines[1] = f"    --hash=sha256:{sha256(broken)}"
    requirements.write_text("\n".join(lines), "utf-8")
    sign(house)
    done = machine.install("--profile", "pocket", "--offline", house)
    assert done.status == 1
    assert "apt install libgomp1); nothing was put in force" in done.err
    assert machine.linked("current") == ""
    assert not list(machine.base.glob("0.1.0-*"))
    assert not machine.env_file.exists()
    assert machine.asked() == []
