"""Setting one line of an env file: the rest stays to the byte, whatever it looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.settings.env_file import own_file, set_in_file, with_setting
from brain.settings.layers import parse

NAME = "BRAIN_PROFILE"


def values(text: str) -> list[tuple[str, str]]:
    text = text.removeprefix("\ufeff")
    return [(one.name, one.value) for one in parse(text, "", strict=True).assignments]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "BRAIN_PROFILE=new\n"),
        ("BRAIN_PROFILE=old", "BRAIN_PROFILE=new"),
        ("BRAIN_PROFILE=\n", "BRAIN_PROFILE=new\n"),
        ("BRAIN_PROFILE\n", "BRAIN_PROFILE=new\n"),
        ("BRAIN_PROFILE = 'old'  # why\nX=1\n", "BRAIN_PROFILE=new  # why\nX=1\n"),
        ('export BRAIN_PROFILE="o # ld"\r\nX=1\r\n', "export BRAIN_PROFILE=new\r\nX=1\r\n"),
        ("# BRAIN_PROFILE=orin-nx\nX=1", "# BRAIN_PROFILE=orin-nx\nX=1\nBRAIN_PROFILE=new\n"),
        ("X=1\r\n", "X=1\r\nBRAIN_PROFILE=new\r\n"),
        ("\ufeffBRAIN_PROFILE=old\n", "\ufeffBRAIN_PROFILE=new\n"),
        # The last one decides.
        ("BRAIN_PROFILE=a\n\n  BRAIN_PROFILE=b\n", "BRAIN_PROFILE=a\n\n  BRAIN_PROFILE=new\n"),
        # What only looks like it is another's text.
        ("X='\nBRAIN_PROFILE=a'\nBRAIN_PROFILE=b\n", "X='\nBRAIN_PROFILE=a'\nBRAIN_PROFILE=new\n"),
        ("MY_BRAIN_PROFILE=a\n", "MY_BRAIN_PROFILE=a\nBRAIN_PROFILE=new\n"),
    ],
)  # fmt: skip
def test_one_line_changes(before: str, after: str) -> None:
    assert with_setting(before, NAME, "new") == after


LINES = st.sampled_from([
    "# a comment", "", "   ", "X=1", "Y='two words' # why", 'Z="a\\"b"', "W='\nBRAIN_PROFILE=no\n'",
    "nonsense without a sign", "BRAIN_PROFILE=old", "export BRAIN_PROFILE='old'", "BRAIN_PROFILE =",
    'BRAIN_PROFILE="old" # kept', "=", "'", "\u00e4=\u00f6", "\tBRAIN_PROFILE=old\t",
])  # fmt: skip


@settings(deadline=None)
@given(st.lists(LINES, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_whatever_is_in_the_file_the_value_holds_and_the_rest_stays(
    lines: list[str], ending: str, ends: bool
) -> None:
    before = ending.join(lines) + (ending if ends and lines else "")
    after = with_setting(before, NAME, "new")
    told = values(after)
    if not any(line == "'" for line in lines):  # (an open quote may swallow what is appended)
        assert [value for name, value in told if name == NAME][-1] == "new"
    assert [one for one in told if one[0] != NAME] == [
        one for one in values(before) if one[0] != NAME
    ]
    assert after.count("#") == before.count("#")


def test_owner_and_mode_stay_and_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.env", tmp_path / "brain.env"
    real.write_text("A=1\n")
    real.chmod(0o604)
    if os.getuid() == 0:
        os.chown(real, 1234, 4321)
    owner = (real.stat().st_uid, real.stat().st_gid)
    link.symlink_to(real)
    set_in_file(link, NAME, "laptop")
    assert link.is_symlink()
    assert real.read_text() == "A=1\nBRAIN_PROFILE=laptop\n"
    about = real.stat()
    assert (about.st_mode & 0o777, about.st_uid, about.st_gid) == (0o604, *owner)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["brain.env", "real.env"]


def test_a_new_file_is_for_its_owner_and_the_folders_group(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "brain.env"
    set_in_file(file, NAME, "laptop")
    about = file.stat()
    assert about.st_mode & 0o777 == 0o640
    assert about.st_gid == file.parent.stat().st_gid


def test_what_is_no_text_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "brain.env"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        set_in_file(file, NAME, "laptop")
    assert file.read_bytes() == b"\xff\xfe"


def test_the_file_is_the_one_in_force(tmp_path: Path) -> None:
    config, here = tmp_path / "etc", tmp_path / "here"
    here.mkdir()
    assert own_file(config, here) == here / ".env", "nothing was installed"
    config.mkdir()
    assert own_file(config, here) == config / "brain.env"
    (here / ".env").touch()
    assert own_file(config, here) == here / ".env"
    (config / "brain.env").touch()
    assert own_file(config, here) == config / "brain.env"


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "brain.env"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="it isn't a file"):
        set_in_file(pipe, "BRAIN_PROFILE", "laptop")
    assert pipe.is_fifo()
