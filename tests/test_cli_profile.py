"""`brain profile`, as a field tech meets it: real files, no brain that runs."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from brain.cli import main
from brain.ops import logs
from brain.settings import SPECS


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of brain.env, in a world without other settings; nobody is at the brain's port."""
    for name in SPECS:
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "override.env").write_text(f"SERVER_PORT={port}\nMODELS_DIR={tmp_path}/models\n")
    monkeypatch.setenv("BRAIN_CONFIG_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)  # it is the whole process's
    return folder


def test_use_writes_one_line_and_show_tells_why(
    etc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (etc / "brain.env").write_text("# mine\nBRAIN_PROFILE=pocket\nLLM_CONTEXT=2048\n")
    assert main(["profile", "use", "orin-nx"]) == 0
    told = capsys.readouterr().out
    assert "brain models pull --profile orin-nx" in told
    assert "LLM_CONTEXT=2048 stays as it is" in told
    assert "systemctl restart brain" in told
    text = (etc / "brain.env").read_text()
    assert text == "# mine\nBRAIN_PROFILE=orin-nx\nLLM_CONTEXT=2048\n"
    assert main(["profile", "show"]) == 0
    told = capsys.readouterr().out
    assert f"In force: orin-nx, by {etc}/brain.env:2." in told
    assert f"LLM_CONTEXT=2048, by {etc}/brain.env:3" in told
    assert "nobody listens there" in told
    assert "* orin-nx" in told
    assert main(["profile", "show", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["profile"], document["running"]) == ("orin-nx", None)
    [jetson] = [one for one in document["profiles"] if one["name"] == "orin-nx"]
    assert jetson["missing"] == jetson["wants"] != []


def test_who_tries_a_checkout_gets_no_folder_of_an_installation(
    etc: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As root it would be made for root alone, and everybody else's brain couldn't read it."""
    monkeypatch.setenv("BRAIN_CONFIG_DIR", str(tmp_path / "nothing"))
    assert main(["profile", "use", "laptop"]) == 0
    assert (tmp_path / ".env").read_text() == "BRAIN_PROFILE=laptop\n"
    assert not (tmp_path / "nothing").exists()
    told = capsys.readouterr().out
    assert "starts anew in this folder" in told
    assert "systemctl" not in told


def test_what_overrules_the_file_is_told(
    etc: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (etc / "override.env").open("a") as file:
        file.write("BRAIN_PROFILE=laptop\n")
    assert main(["profile", "use", "pocket"]) == 1
    assert f"{etc}/override.env:3 says laptop, and overrules it" in capsys.readouterr().err
    assert main(["profile", "show"]) == 0
    told = capsys.readouterr().out
    assert "In force: laptop" in told
    assert f"{etc}/brain.env:1 says pocket, and is overruled" in told
    monkeypatch.setenv("BRAIN_PROFILE", "rtx3090")
    assert main(["profile", "use", "pocket"]) == 1
    assert "the environment of this shell says rtx3090" in capsys.readouterr().err


def test_a_profile_that_is_misspelt_is_not_said_to_be_nobodys(
    etc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (etc / "brain.env").write_text("BRAIN_PROFILE=labtop\n")
    assert main(["profile", "show"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("In force: pocket, by default.\n")
    assert f"- {etc}/brain.env:1 says labtop, and there is no such profile\n" in told


def test_an_unknown_profile_is_refused_with_the_list(
    etc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["profile", "use", "jetson"])
    assert ended.value.code == 2
    assert "orin-nx" in capsys.readouterr().err
    assert not (etc / "brain.env").exists()


def test_a_broken_file_stops_neither(etc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (etc / "brain.env").write_text("BRAIN_PROFILE=nonsense\nSTT_DEVICE=gpu\n???\n")
    assert main(["profile", "show"]) == 0
    told = capsys.readouterr().out
    assert "In force: pocket, by default" in told
    assert "says nonsense" in told
    assert "STT_DEVICE='gpu'" in told
    assert main(["profile", "use", "laptop"]) == 0
    assert (etc / "brain.env").read_text() == "BRAIN_PROFILE=laptop\nSTT_DEVICE=gpu\n???\n"


def test_a_file_that_cannot_be_written_is_told(
    etc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (etc / "brain.env").mkdir()
    assert main(["profile", "use", "laptop"]) == 1
    assert "can't be written" in capsys.readouterr().err


@pytest.mark.parametrize("status", [0, 1])
def test_use_restarts_the_service_if_asked(
    etc: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """systemctl is a stand-in that writes down what it was asked."""
    stand_in = etc / "systemctl"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >{etc}/asked\nexit {status}\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{etc}:{os.environ['PATH']}")
    assert main(["profile", "use", "pocket", "--restart"]) == status
    assert (etc / "asked").read_text() == "restart brain.service\n"
    told = capsys.readouterr()
    assert ("brain doctor says why" in told.err) == bool(status)


def test_who_may_not_read_the_settings_is_sent_to_sudo(
    etc: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (etc / "brain.env").touch()
    real = Path.open

    def closed(path: Path, *args: Any, **more: Any) -> Any:  # (root may read everything)
        if path.parent == etc:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)

    monkeypatch.setattr(Path, "open", closed)
    assert main(["models", "list"]) == 78
    assert f"{etc}/brain.env can't be read: Permission denied" in (told := capsys.readouterr().err)
    assert told.endswith("ask again with sudo\n")
