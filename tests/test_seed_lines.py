"""The lines that the seed's README tells people to type, in a copy of what git tracks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CACHE = Path(
    os.environ.get("ROBOT_BRAIN_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robot-brain"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.timeout(900)
def test_uv_sync_and_uv_run(checkout: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    # The llama.cpp that `make setup` compiled serves here too; without it, uv compiles its own.
    kept = (path for path in (CACHE / "wheels").glob("*") if path.suffix != ".part")
    wheels = ",".join(str(path) for path in kept)
    environment = {**os.environ, "UV_FIND_LINKS": wheels, "UV_PYTHON": sys.executable}
    environment.pop("VIRTUAL_ENV", None)

    def run(line: str) -> str:
        program, *arguments = line.split()
        done = subprocess.run(
            [{"uv": str(uv)}.get(program, program), *arguments],
            cwd=checkout, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("uv sync --extra dev --extra llm --extra stt --extra tts")
    # `tests/` of the seed's line, less this test itself and those that take their time.
    assert " passed" in run("uv run pytest tests/audio tests/dialogue/test_turn.py -v")
    (checkout / ".env").write_text("VAD_SILENCE_MS=654\n")
    assert "654" in run("uv run brain settings --changed")
    installed = run("uv pip list")
    assert "llama-cpp-python" in installed.replace("_", "-")
    assert "robot-brain-client" in installed
    assert "\ntorch " not in installed, "torch is not in the base install"
