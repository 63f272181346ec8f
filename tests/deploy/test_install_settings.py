"""The one line of brain.env that install.sh changes, as the brain itself reads the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from brain.settings import load
from tests.deploy.jetson_root import REPOSITORY

_PIECES = REPOSITORY / "deploy/install"


def write(root: Path, profile: str, then: str = ":") -> str:
    """What install.sh does with the file, and then `then`; what it says."""
    return subprocess.run(
        ["bash", "-euc", f'. "$0/machine.sh"; . "$0/settings.sh"; write_settings; {then}', _PIECES],
        env={"PATH": "/usr/bin:/bin", "root": str(root), "profile": profile},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def profile_of(root: Path) -> str:
    return load(config_dir=root / "etc/brain", environ={}, lenient=True).brain_profile


@pytest.fixture
def env(tmp_path: Path) -> Path:
    path = tmp_path / "etc/brain/brain.env"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("BRAIN_PROFILE=pocket\n", "BRAIN_PROFILE=orin-nx\n"),
        ("BRAIN_PROFILE=pocket", "BRAIN_PROFILE=orin-nx"),
        ("BRAIN_PROFILE = pocket   # mine\n", "BRAIN_PROFILE = orin-nx   # mine\n"),
        ("BRAIN_PROFILE='pocket' # x\n", "BRAIN_PROFILE=orin-nx # x\n"),
        ('export BRAIN_PROFILE="pocket"\n', "export BRAIN_PROFILE=orin-nx\n"),
        ("BRAIN_PROFILE=rtx 3090\r\nA=1\r\n", "BRAIN_PROFILE=orin-nx\r\nA=1\r\n"),
        ("BRAIN_PROFILE=\nA=1\n", "BRAIN_PROFILE=\nA=1\nBRAIN_PROFILE=orin-nx\n"),
        ("\ufeffBRAIN_PROFILE=pocket\n", "\ufeffBRAIN_PROFILE=orin-nx\n"),
        (
            "# BRAIN_PROFILE=old\nBRAIN_PROFILE=pocket\nA=1\nBRAIN_PROFILE=laptop\n",
            "# BRAIN_PROFILE=old\nBRAIN_PROFILE=pocket\nA=1\nBRAIN_PROFILE=orin-nx\n",
        ),
        ("A=1\nMY_BRAIN_PROFILE=x", "A=1\nMY_BRAIN_PROFILE=x\nBRAIN_PROFILE=orin-nx\n"),
        ("", "BRAIN_PROFILE=orin-nx\n"),
    ],
)
def test_one_line_changes_and_no_other(tmp_path: Path, env: Path, before: str, after: str) -> None:
    env.write_bytes(before.encode())
    env.chmod(0o604)
    said = write(tmp_path, "orin-nx")
    assert env.read_bytes().decode() == after
    assert profile_of(tmp_path) == "orin-nx"
    assert "BRAIN_PROFILE" in said
    assert env.stat().st_mode & 0o777 == 0o604
    assert [path.name for path in env.parent.iterdir()] == ["brain.env"]
    # And the way back is exactly that, but for how the value was quoted.
    write(tmp_path, "laptop", "settings_back")
    assert profile_of(tmp_path) == "orin-nx"


@pytest.mark.parametrize("text", ["BRAIN_PROFILE=orin-nx\n", "A=1\nBRAIN_PROFILE='orin-nx' #!\n"])
def test_what_is_so_already_is_not_touched(tmp_path: Path, env: Path, text: str) -> None:
    env.write_text(text)
    before = env.stat().st_ino
    assert write(tmp_path, "orin-nx") == ""
    assert (env.read_text(), env.stat().st_ino) == (text, before)


def test_a_line_that_was_added_is_taken_out_again(tmp_path: Path, env: Path) -> None:
    env.write_text("BRAIN_NAME=kitchen\n")
    write(tmp_path, "orin-nx", "settings_back")
    assert env.read_text() == "BRAIN_NAME=kitchen\n"


def test_a_file_that_would_win_is_told(tmp_path: Path, env: Path) -> None:
    env.with_name("override.env").write_text("BRAIN_PROFILE=laptop\n")
    told = subprocess.run(
        ["bash", "-euc", '. "$0/machine.sh"; . "$0/settings.sh"; write_settings', _PIECES],
        env={"PATH": "/usr/bin:/bin", "root": str(tmp_path), "profile": "pocket"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "override.env has a BRAIN_PROFILE of its own" in told.stderr


def test_a_program_is_not_taken_for_the_function_of_its_name() -> None:
    """Without a root, which all other tests have."""
    ask = '. "$0/machine.sh"; systemctl() { false; }; sleep() { false; }; program sleep'
    told = subprocess.run(["bash", "-euc", ask, _PIECES], capture_output=True, text=True)
    assert Path(told.stdout.strip()).is_absolute(), told.stderr
