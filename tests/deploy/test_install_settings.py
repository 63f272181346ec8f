"""The one line of brain.env that install.sh changes, as the brain itself reads the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from brain.settings import load
from brain.settings.env_file import set_in_file
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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ufeff",
        "\ufeffBRAIN_NAME=x",
        "\ufeffA=1\nBRAIN_PROFILE=pocket\n",
        "BRAIN_NAME=x\r\nSERVER_PORT=8111",
        "export\tBRAIN_PROFILE = pocket # x\n",
        "'BRAIN_PROFILE'=pocket\n",
        "BRAIN_PROFILE=laptop\nBRAIN_PROFILE=\n",
        "BRAIN_PROFILE=pocket#x\n",
        "BRAIN_PROFILE=#pocket\n",
        "BRAIN_PROFILE= # pocket\n",
        "BRAIN_PROFILE\n",
        "BRAIN_PROFILE: pocket\n",
        "brain_profile=pocket\n",
        'BRAIN_PROFILE="pocket\nBRAIN_NAME=x\n',
        'BRAIN_NAME="x\nBRAIN_PROFILE=pocket\n',
        'BRAIN_NAME="x\nBRAIN_PROFILE=pocket\ny"\n',
        'BRAIN_NAME="x\\"\nBRAIN_PROFILE=pocket\ny"\nBRAIN_PROFILE=laptop\n',
        'BRAIN_PROFILE="poc\nket"\nBRAIN_NAME=x\n',
        "BRAIN_PROFILE='po\\'cket' # x\n",
        "BRAIN_PROFILE='pocket'x\n",
        'BRAIN_PROFILE="poc # ket" # it\'s "mine"\n',
        'export BRAIN_PROFILE = "orin-nx" # x\r\n',
        "\n\n  BRAIN_PROFILE=a&b/c\\d\n\n",
        "BRAIN_NAME=x\rBRAIN_PROFILE=pocket\r",
    ],
)
def test_install_and_profile_use_agree_and_lose_nothing(
    tmp_path: Path, env: Path, text: str
) -> None:
    def others() -> tuple[dict[str, object], int]:
        """What the file says beside the profile, and how much of it is wrong."""
        settings = load(config_dir=env.parent, environ={}, lenient=True)
        own = {name for name, origin in settings.origins.items() if "brain.env" in origin}
        values = settings.model_dump(include={name.lower() for name in own - {"BRAIN_PROFILE"}})
        return values, sum(problem.setting != "BRAIN_PROFILE" for problem in settings.problems)

    env.write_bytes(text.encode())
    values, wrong = others()
    write(tmp_path, "orin-nx")
    by_install = (profile_of(tmp_path), others()[0], others()[1] <= wrong)
    env.write_bytes(text.encode())
    set_in_file(env, "BRAIN_PROFILE", "orin-nx")
    by_use = (profile_of(tmp_path), others()[0], others()[1] <= wrong)
    assert by_install == by_use == ("orin-nx", values, True)


def test_a_link_stays_one_and_what_is_no_text_stays_as_it_is(tmp_path: Path, env: Path) -> None:
    real = tmp_path / "kept elsewhere.env"
    real.write_bytes(b"BRAIN_NAME=x\r\n")
    env.symlink_to(real)
    write(tmp_path, "laptop")
    assert env.is_symlink()
    assert real.read_bytes() == b"BRAIN_NAME=x\r\nBRAIN_PROFILE=laptop\r\n"
    real.write_bytes(b"BRAIN_NAME=K\xfcche\n")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        write(tmp_path, "laptop")
    assert "no UTF-8 text" in refused.value.stderr
    assert real.read_bytes() == b"BRAIN_NAME=K\xfcche\n"
    env.unlink()
    env.mkdir()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        write(tmp_path, "laptop")
    assert "no file" in refused.value.stderr


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
