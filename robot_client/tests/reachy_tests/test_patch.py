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
OPENAI = "the OpenAI handler is used"
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
    with_flags, without = tmp_path / "with", tmp_path / "without"
    for folder in (with_flags, without):
        folder.mkdir()
        (folder / ".env").write_text(A_KEY)

    async def script(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await visit.send("transcript_user", text="Is this the patched one?", turn=1)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain:
            flags = ("--local-server-ip", "127.0.0.1", "--local-server-port", str(brain.port))
            with (
                app(with_flags, *START, *flags, path=patched) as running,
                app(without, *START, path=patched) as as_it_was,
            ):
                await running.until_async("role=user content=Is this the patched one?")
                assert await running.stop_async() == 0
                assert OPENAI not in running.said()
                await as_it_was.until_async(OPENAI)
                assert await as_it_was.stop_async() == 0

    asyncio.run(main())
    for folder in (with_flags, without):
        assert (folder / ".env").read_text() == A_KEY
