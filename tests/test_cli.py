"""The command line, as a person and a service manager meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from brain import __version__
from brain.settings import SPECS

HEAVY = ("llama_cpp", "ctranslate2", "faster_whisper", "onnxruntime", "piper", "numpy", "fastapi")


def brain(
    tmp_path: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m brain` with `tmp_path` for /etc/brain and for the working directory."""
    repository = Path(__file__).resolve().parent.parent
    clean = {k: v for k, v in os.environ.items() if k not in {*SPECS, "INVOCATION_ID"}}
    return subprocess.run(
        [sys.executable, "-m", "brain", *arguments],
        check=False,
        cwd=tmp_path,
        env={
            **clean,
            "PYTHONPATH": str(repository),
            "BRAIN_CONFIG_DIR": str(tmp_path / "etc"),
            **(environ or {}),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_settings_are_listed_with_value_unit_and_origin(tmp_path: Path) -> None:
    done = brain(
        tmp_path, "settings", "--port", "8200", "--profile", "orin-nx", "--set", "TTS_LEAD_MS=700"
    )
    assert done.returncode == 2  # --port belongs to serve
    done = brain(tmp_path, "settings", "--profile", "orin-nx", "--set", "TTS_LEAD_MS=700")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert lines["TTS_LEAD_MS"] == ["700", "ms", "--set"]
    assert lines["BRAIN_PROFILE"] == ["orin-nx", "--profile"]
    assert lines["STT_DEVICE"] == ["cuda", "profile", "orin-nx"]
    assert lines["SERVER_PORT"] == ["8100", "default"]
    assert len(lines) == len(SPECS) + 1


def test_settings_for_scripts_with_a_dot_env_loaded_by_itself(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HF_TOKEN=hf_hunter2\nLLM_CONTEXT=1024\n")
    done = brain(tmp_path, "settings", "--json", "--changed")
    document = json.loads(done.stdout)
    assert document["profile"] == "pocket"
    assert document["settings"]["LLM_CONTEXT"] == {
        "value": 1024,
        "unit": "tokens",
        "origin": ".env:2",
        "default": 4096,
    }
    assert document["settings"]["HF_TOKEN"]["value"] == "********"
    assert "hunter2" not in done.stdout
    assert "SERVER_PORT" not in document["settings"]


def test_a_bad_value_is_one_line_and_78(tmp_path: Path) -> None:
    done = brain(tmp_path, "serve", environ={"STT_DEVICE": "gpu"})
    assert done.returncode == 78
    assert done.stdout == ""
    assert (
        done.stderr == "STT_DEVICE='gpu' (environment) can't be used; allowed: one of cpu, cuda\n"
    )


def test_a_bad_value_under_systemd_is_told_of_and_no_end(tmp_path: Path) -> None:
    environ = {"STT_DEVICE": "gpu", "INVOCATION_ID": "1"}
    done = brain(tmp_path, "settings", "--json", environ=environ)
    assert done.returncode == 0
    assert json.loads(done.stdout)["settings"]["STT_DEVICE"]["value"] == "cpu"
    assert done.stderr.startswith("error: STT_DEVICE='gpu' (environment)")
    assert done.stderr.rstrip().endswith("cpu (default) holds instead")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["settings", "--set", "NONSENSE"], 78, "--set wants NAME=VALUE, not 'NONSENSE'"),
        (["settings", "--set", "LLM_BAKEND=vllm"], 78, "did you mean LLM_BACKEND?"),
        (["settings", "--profile", "jetson"], 78, "one of laptop, orin-nx, pocket, rtx3090"),
        (["serve", "--port", "http"], 78, "SERVER_PORT='http' (--port)"),
        (["think"], 2, "unrecognized arguments: think"),
        (["settings", "think"], 2, "unrecognized arguments: think"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], status: int, says: str
) -> None:
    done = brain(tmp_path, *arguments)
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version(tmp_path: Path) -> None:
    assert brain(tmp_path, "--version").stdout == f"robot-brain {__version__}\n"
    helped = brain(tmp_path, "--help")
    assert helped.returncode == 0
    assert "serve robots" in helped.stdout


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "brain", "settings"],
            check=False,
            env={**os.environ, "BRAIN_CONFIG_DIR": str(tmp_path)},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["--help"], ["settings"], ["serve", "--set", "X=1"]])
def test_nothing_heavy_is_imported_before_it_is_needed(
    tmp_path: Path, arguments: list[str]
) -> None:
    script = (
        "import sys\nfrom brain.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    repository = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        env={**os.environ, "PYTHONPATH": str(repository), "BRAIN_CONFIG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_stop_while_it_starts_is_heeded_whatever_is_imported_just_then(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from brain.cli import main\n"
        "class Greedy:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'brain.app':\n"
        "            try:\n"
        "                os.kill(os.getpid(), signal.SIGTERM)\n"
        "                [None for _ in range(1000)]\n"
        "            except BaseException:\n"
        "                raise ImportError('swallowed') from None\n"
        "sys.meta_path.insert(0, Greedy())\n"
        "main(['serve', '--host', '127.0.0.1', '--port', '0'])\n"
    )
    repository = Path(__file__).resolve().parent.parent
    clean = {k: v for k, v in os.environ.items() if k not in {*SPECS, "INVOCATION_ID"}}
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        env={**clean, "PYTHONPATH": str(repository), "BRAIN_CONFIG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
