"""The patch that builds the flags into the app, applied to a copy of the stand-in."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from client_tests.scripted import Visit, scripted

from reachy_tests.app_process import STAND_IN, app

PATCH = Path(__file__).parents[2] / "reachy_app.patch"
PACKAGE = "reachy_mini_conversation_app"
START = (sys.executable, "-m", f"{PACKAGE}.main")
A_KEY = "OPENAI_API_KEY=the-owners-own\n"


@pytest.fixture(params=["git apply -p2", "patch -p2 -i"])
def patched(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the stand-in with the patch applied, by either tool."""
    copy = tmp_path / "app"
    shutil.copytree(STAND_IN, copy, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([*request.param.split(), PATCH], cwd=copy, check=True, capture_output=True)
    return copy


def test_the_patch_is_a_few_lines() -> None:
    lines = PATCH.read_text(encoding="utf-8").splitlines()
    added = [line for line in lines if line.startswith("+") and not line.startswith("+++")]
    removed = [line for line in lines if line.startswith("-") and not line.startswith("---")]
    assert len(added) <= 12
    assert len(removed) == 1


def test_the_patched_app_has_the_handler_under_its_own_name(patched: Path) -> None:
    module = patched / PACKAGE / "local_socket_handler.py"
    assert "LocalSocketHandler" in module.read_text(encoding="utf-8")
    assert not list(patched.rglob("*.rej"))


@pytest.mark.parametrize("patched", ["git apply -p2"], indirect=True)
def test_the_patched_app_with_the_flags_and_without(patched: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(A_KEY)
    with app(tmp_path, *START, path=patched) as running:
        running.until("the OpenAI handler is used")
        assert running.stop() == 0

    async def script(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await visit.send("transcript_user", text="Is this the patched one?", turn=1)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain:
            flags = ("--local-server-ip", "127.0.0.1", "--local-server-port", str(brain.port))
            with app(tmp_path, *START, *flags, path=patched) as running:
                await running.until_async("role=user content=Is this the patched one?")
                assert await running.stop_async() == 0
                assert "the OpenAI handler is used" not in running.said()

    asyncio.run(main())
    assert (tmp_path / ".env").read_text() == A_KEY
