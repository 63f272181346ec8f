"""A whole brain whose mind is Ollama's: its replies, its plain truth in /health, its fall and its
return. The server that stands for Ollama is in `tests.engines.llm.ollama_server`."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from brain import app
from brain.engines.loader import EngineSet
from brain.ops import starting
from brain.ops.notify import Notifier
from brain.settings import Settings
from tests.e2e.pocket import Brain, a_pocket_brain
from tests.e2e.sockets import Robot, a_robot
from tests.engines.llm.ollama_server import Hold, Layer, OllamaServer, an_ollama

ACTIONS = [
    {"action": "emote", "name": "excited", "intensity": 0.9},
    {"action": "say", "text": "Oh! A ball!"},
    {"action": "gesture", "name": "look_at", "params": {"bearing": 15.0}},
    {"action": "skill", "name": "investigate_ball"},
]


async def asked(robot: Robot, text: str) -> str:
    """What the robot is told in answer to a typed turn."""
    await robot.send(type="text", text=text)
    await robot.next("reply_done", seconds=30)
    told = [m for m in robot.seen if m["type"] == "transcript_assistant"]
    return str(told[-1]["text"])


def planned(brain: Brain) -> dict[str, Any]:
    """What /plan says to a ball that has come in sight."""
    state = {
        "robot_id": "r1", "seq": 1, "monotonic_ts_ms": 5, "mode": "WANDER", "battery_mv": 7800,
        "range_mm": 600, "faults": [], "clear_confidence": 0.9, "ball_detected": True,
        "ball_bearing_deg": 15.0, "speed_l_mm_s": 0, "speed_r_mm_s": 0, "v_capped": 80,
        "w_capped": 0, "trigger": "ball_seen",
    }  # fmt: skip
    request = urllib.request.Request(
        f"http://127.0.0.1:{brain.port}/plan",
        json.dumps(state).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        body: dict[str, Any] = json.load(answer)
    return body


async def until_health(brain: Brain, status: int, seconds: float) -> dict[str, Any]:
    """/health, as soon as it has this status."""

    async def poll() -> dict[str, Any]:
        while True:
            now, body = await asyncio.to_thread(brain.get, "/health")
            if now == status:
                return body
            await asyncio.sleep(0.2)

    return await asyncio.wait_for(poll(), seconds)


def test_ollama_answers_goes_and_comes_back(tmp_path: Path) -> None:
    async def main(server: OllamaServer) -> None:
        server.replies = ["I speak through Ollama."]
        settings = {
            "LLM_BACKEND": "ollama", "OLLAMA_URL": server.url, "MODEL_NAME": "qwen3:14b",
            "TTS_BACKEND": "off", "PLAN_KEEP_ALIVE": "7m",
        }  # fmt: skip
        arguments = [f"--set={name}={value}" for name, value in settings.items()]
        with a_pocket_brain(tmp_path, *arguments) as brain:
            await asyncio.to_thread(brain.until_ready)
            status, health = await asyncio.to_thread(brain.get, "/health")
            assert (status, health["status"], health["ollama"]) == (200, "ok", True)
            assert (health["llm_backend"], health["llm_model"]) == ("ollama", "qwen3:14b")
            assert health["model_available"]

            async with a_robot(brain.address) as robot:
                assert await asked(robot, "Who are you?") == "I speak through Ollama."
                (last,) = server.asked("/api/chat")[-1:]
                assert last["messages"][-1]["content"] == "Who are you?"

                server.replies = [json.dumps({"actions": ACTIONS})]
                plan = await asyncio.to_thread(planned, brain)
                assert plan["actions"] == ACTIONS
                (last,) = server.asked("/api/chat")[-1:]
                assert last["format"]["type"] == "object"
                assert (last["keep_alive"], last["think"]) == ("7m", False)
                server.replies = ["I speak through Ollama."]

                # Gone, and nobody asks it anything.
                await server.stop()
                health = await until_health(brain, 503, 20)
                assert not health["ollama"]
                assert not health["model_available"]
                _, ready = await asyncio.to_thread(brain.get, "/ready")
                assert ready["ready"]
                assert ready["engines"]["llm"]["degraded"]
                assert "OLLAMA_URL" in ready["engines"]["llm"]["reason"]
                assert await asked(robot, "What is your name?") != "I speak through Ollama."

                await server.start()
                assert (await until_health(brain, 200, 20))["ollama"]
                assert await asked(robot, "And now?") == "I speak through Ollama."

                # A robot that cancels frees Ollama.
                hold = Hold()
                server.replies = [["Well", hold]]
                await robot.send(type="text", text="Tell me a long story.")
                await hold.reached.wait()
                await robot.send(type="cancel")
                await asyncio.wait_for(server.requests_to("/api/chat")[-1].left.wait(), 10)

    async def whole() -> None:
        async with an_ollama() as server:
            await main(server)

    asyncio.run(whole())


def test_a_service_manager_hears_how_far_a_pull_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would end a start that takes long, and the next one, and the next."""

    async def main(server: OllamaServer, manager: socket.socket) -> None:
        server.registry = {"new:1b": ("completion",)}
        hold = Hold()
        server.pulls = [[Layer("sha256:a", 100, 43), hold]]
        settings = Settings(
            llm_backend="ollama", ollama_url=server.url, model_name="new:1b", cpu_threads=1,
            stt_model_size="pocket", tts_backend="off",
        )  # fmt: skip
        engines = EngineSet(settings)
        serves = asyncio.Event()
        notifier = Notifier(manager.getsockname())
        loading = asyncio.ensure_future(app._load(settings, engines, serves, notifier))
        loop = asyncio.get_running_loop()

        async def heard(words: str) -> str:
            while words not in (told := (await loop.sock_recv(manager, 4096)).decode()):
                assert "READY=1" not in told
            return told

        try:
            await heard("EXTEND_TIMEOUT_USEC=")
            assert serves.is_set()
            assert "llm (pulling new:1b: 43 %)" in await heard("43 %")
            hold.release.set()
            ready = await heard("READY=1")
            assert ready.startswith("READY=1\nSTATUS=ready; ")
            assert "llm ollama (new:1b)" in ready
            assert not loading.done()  # it goes on telling
        finally:
            loading.cancel()
            await engines.close()

    async def whole() -> None:
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        with manager:
            async with an_ollama() as server:
                await asyncio.wait_for(main(server, manager), 60)

    monkeypatch.setattr(starting, "LOOK_S", 0.02)
    asyncio.run(whole())
