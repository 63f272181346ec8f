"""A brain whose mind is another server's: while it is there, when it goes, when it is back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.e2e.pocket import Brain, a_pocket_brain
from tests.e2e.sockets import a_robot
from tests.engines.llm.openai_real_server import MODEL, a_llama_server


async def _said(brain: Brain, text: str) -> str:
    async with a_robot(brain.address, "?robot_id=typist") as robot:
        await robot.send(type="text", text=text)
        done = await robot.next("reply_done", seconds=30)
        assert done["reason"] == "completed"
        return " ".join(m["text"] for m in robot.seen if m["type"] == "transcript_assistant")


def _until_health_is(brain: Brain, status: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (seen := brain.get("/health")[0]) != status:
        assert time.monotonic() < deadline, f"/health is {seen}: {brain.get('/ready')}"
        time.sleep(0.1)


@pytest.mark.timeout(240)  # three processes load, on a machine that may be at work
@pytest.mark.setting("LLM_BACKEND", "OPENAI_URL", "OPENAI_MODEL")
def test_a_mind_elsewhere_that_comes_and_goes(tmp_path: Path) -> None:
    with a_llama_server(tmp_path) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        with a_pocket_brain(
            tmp_path,
            *("--set", "LLM_BACKEND=openai", "--set", f"OPENAI_URL={server.url}"),
            *("--set", "LLM_TEMPERATURE=0"),
        ) as brain:
            brain.until_ready()
            status, health = brain.get("/health")
            assert (status, health["llm_backend"]) == (200, "openai")
            mind = brain.get("/ready")[1]["engines"]["llm"]
            assert (mind["name"], mind["model"], mind["degraded"]) == ("openai", MODEL, False)
            before = server.log.read_text().count("POST /v1/chat/completions")
            assert "four" in asyncio.run(_said(brain, "What is two plus two?")).lower()
            assert server.log.read_text().count("POST /v1/chat/completions") == before + 1

            server.kill()
            _until_health_is(brain, 503, 15)
            mind = brain.get("/ready")[1]["engines"]["llm"]
            assert (mind["name"], mind["degraded"]) == ("llamacpp", True)
            assert "OPENAI_URL" in mind["reason"]
            assert "seven" in asyncio.run(_said(brain, "What is three plus four?")).lower()

            with a_llama_server(tmp_path, port=port):
                _until_health_is(brain, 200, 30)
                assert "four" in asyncio.run(_said(brain, "What is two plus two?")).lower()
