"""A brain that holds no model, and where none could be run."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.llm.openai_scripted_server import a_server, says
from tests.engines.remote.audio_server import AudioServer, an_audio_server

ROOT = Path(__file__).parents[3]
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture(scope="module")
def audio() -> Iterator[AudioServer]:
    with an_audio_server() as server:
        yield server


async def brain(*urls: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.engines.remote.without_models", *urls,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    found: dict[str, Any] = json.loads(out)
    return found


def test_it_hears_thinks_and_speaks_elsewhere(audio: AudioServer) -> None:
    async def main() -> dict[str, Any]:
        async with a_server(says("Hi.")) as mind:
            return await brain(f"{NOBODY},{mind.url}", f"{audio.url},{NOBODY}")

    found = asyncio.run(main())
    assert found["imported"] == []
    for kind in ("stt", "llm", "tts"):
        assert found["states"][kind] == ["openai", ""]
        endpoints = found["counters"][kind]["endpoints"]
        assert sorted(at["up"] for at in endpoints.values()) == [False, True]
    assert found["said"] == "Hi."
    assert found["sound"] > 1_000


def test_with_nobody_there_it_says_why_and_goes_on() -> None:
    found = asyncio.run(brain(NOBODY, NOBODY))
    assert found["error"] == "EngineUnavailable"
    for kind in ("stt", "llm", "tts"):
        active, reason = found["states"][kind]
        assert not active
        assert NOBODY in reason
