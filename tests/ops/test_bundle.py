"""A bundle holds no secret and no speech, wherever they were planted.

journalctl is a stand-in that prints a journal of ours; the rest is the real command.
"""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from brain.cli import main
from brain.ops import logs
from brain.ops.bundle.pack import presentable, write
from brain.ops.bundle.redact import Redactor, secrets_of
from brain.ops.doctor import examine
from brain.settings import SPECS, load

# One of each place where a secret may be; none looks like one by its form alone but the last three.
OLD, NEW, HUB, KEY, FILED, CREDENTIAL, OVERRULED = (
    "plum tree/42", "quince", "walnut-shell", "medlar", "hazel", "almond", "cherry",
)  # fmt: skip
LOOKS = ("hf_AbCdEfGhIjKl", "sk-proj-abcdefgh1234", "swordfish")
SPEECH = ("my grandmother's birthday", "the secret garden", "a debug line with words")


def line(text: str, priority: str = "6") -> dict[str, Any]:
    return {
        "MESSAGE": text, "PRIORITY": priority, "SYSLOG_IDENTIFIER": "brain", "_PID": "7",
        "__REALTIME_TIMESTAMP": "1800000000000000",
    }  # fmt: skip


JOURNAL = [
    line("brain.app: listening on 0.0.0.0 port 8100"),
    line(f"brain.api: GET /ws?robot_id=r1&token={NEW} refused", "4"),
    line("brain.api: GET /ws?token=plum%20tree%2F42"),
    line(f"brain.speech: heard '{SPEECH[0]}'"),
    line(f"<6>brain.speech.reply: said '{SPEECH[1]}'", "3"),
    line(f"brain.dialogue.session: transcript {SPEECH[2]}", "7"),
    line(f"brain.engines: Authorization: Bearer {LOOKS[2]}", "3"),
    line(f"somebody typed export HF_TOKEN={LOOKS[0]} OPENAI_API_KEY='{LOOKS[1]}'"),
    line(f"brain.engines: http://user:{LOOKS[2]}@10.0.0.1/v1 can't be reached", "3"),
]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in SPECS:
        monkeypatch.delenv(name, raising=False)
    etc, programs, secrets = tmp_path / "etc", tmp_path / "bin", tmp_path / "credentials"
    for folder in (etc, programs, secrets):
        folder.mkdir()
    (secrets / "brain-token").write_text(f"{CREDENTIAL}\n")
    (etc / "tokens").write_text(f"# of the kitchen\n{FILED}\n")
    (etc / "brain.env").write_text(
        f'BRAIN_TOKEN="{OLD},{NEW}"\nHF_TOKEN={OVERRULED}\nOPENAI_API_KEY={KEY}\n'
        f"BRAIN_TOKEN_FILE={etc}/tokens\nSERVER_PORT=1\nMODELS_DIR={tmp_path}/models\n"
        f"OPENAI_URL=http://me:{LOOKS[2]}@10.0.0.1:8000/v1\nPERSONA_FILE={NEW}/{KEY}\n"
    )
    (etc / "override.env").write_text(f"HF_TOKEN={HUB}\nLLM_CONTEXT={KEY}\nNONSENSE {FILED}\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/Qwen3-4B-Q4_K_M.gguf").write_text(SPEECH[0])
    (programs / "journal").write_text("\n".join(json.dumps(entry) for entry in JOURNAL))
    stand_in = programs / "journalctl"
    stand_in.write_text(
        '#!/bin/sh\ncase "$*" in *-dmesg* | *-boots*) ;; *) cat "${0%ctl}" ;; esac\n'
    )
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("BRAIN_CONFIG_DIR", str(etc))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secrets))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)  # it is the whole process's
    monkeypatch.setattr(examine, "needed_libraries", lambda _: ())  # they take seconds to load
    return tmp_path / "bundle.tar.gz"


def test_a_bundle_holds_neither_secrets_nor_speech(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["support-bundle", "--quick", "--out", str(bundle)]) == 0
    assert bundle.stat().st_mode & 0o777 == 0o600
    with tarfile.open(bundle) as archive:
        files = {}
        for member in archive.getmembers():
            content = archive.extractfile(member)
            assert content is not None
            files[member.name.rpartition("/")[2]] = content.read().decode()
    text = "\n".join(files.values())
    planted = (OLD, NEW, HUB, KEY, FILED, CREDENTIAL, OVERRULED, "plum%20tree", *LOOKS, *SPEECH)
    assert [secret for secret in planted if secret in text] == []
    # What is of use is there, and still what it was.
    assert "listening on 0.0.0.0 port 8100" in files["log.txt"]
    assert "/ws?robot_id=r1&token=*** refused" in files["log.txt"]
    assert "2 line(s) of the log" in files["README.txt"]
    assert "\nModel name:" in files["machine.txt"] or "uname -srvm" in files["machine.txt"]
    assert "Qwen3-4B-Q4_K_M.gguf" in files["files.txt"]
    assert "install.txt" in files
    doctor = json.loads(files["doctor.json"])
    assert doctor["severity"] == "error"
    settings = json.loads(files["settings.json"])["settings"]
    assert settings["BRAIN_TOKEN"]["origin"].endswith("brain.env:1")
    assert settings["OPENAI_URL"]["value"] == "http://***@10.0.0.1:8000/v1"
    told = capsys.readouterr().out
    assert all(name in told for name in files)
    # An older bundle isn't written over.
    assert main(["support-bundle", "--quick", "--out", str(bundle)]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_who_typed_sudo_can_send_it(tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    write(b"", file, {"SUDO_UID": "12345", "SUDO_GID": "12346"})
    about = file.stat()
    expected = (12345, 12346) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (*expected, 0o600)


def test_robots_cannot_smuggle_speech_past_the_name_of_its_logger() -> None:
    log = presentable([line("brain.speech: : a: b"), line("brain.app: brain.speech is on")])
    assert (log.speech, len(log.lines)) == (1, 1)


def test_masks_leave_the_rest_alone() -> None:
    redactor = Redactor(["ab", "abcd", ""])
    assert redactor.clean("x abcd y ab z") == "x *** y *** z"
    kept = (
        '{"LLM_MAX_OUTPUT_TOKENS": {"value": 256}, "BRAIN_TOKEN": {"value": ""}, "n": "tokens: 5"}'
    )
    assert Redactor([]).clean(kept) == kept
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
    assert "MIIE" not in Redactor([]).clean(key)


def test_a_file_of_secrets_that_is_none_holds_nobody_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "real").write_text("one, two\n# three\n")
    for name in ("pipe", "none", "a\\x00b", "real"):
        (tmp_path / "brain.env").write_text(f'BRAIN_TOKEN_FILE="{tmp_path}/{name}"\n')
        settings = load(environ={}, config_dir=tmp_path, lenient=True)
        found = secrets_of(settings, {"BRAIN_CONFIG_DIR": str(tmp_path)})
        assert found == ({"one", "two"} if name == "real" else set())
