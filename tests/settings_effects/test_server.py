"""What the settings of the server do to a real brain, on real sockets."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from brain.cli import main as brain_command
from tests.e2e.pocket import Brain, a_pocket_brain
from tests.e2e.sockets import a_robot

SET = {
    "BRAIN_TOKEN": "s3cret",
    "HF_TOKEN": "hf_s3cret",
    "SESSION_IDLE_S": "1",
    "SHUTDOWN_S": "0",
    "LOG_LEVEL": "error",
    "PLAN_MAX_INFLIGHT": "3",
}


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    """Its address is 127.0.0.1, and its port one that was free (`a_pocket_brain`)."""
    flags = [word for name, value in SET.items() for word in ("--set", f"{name}={value}")]
    with a_pocket_brain(tmp_path_factory.mktemp("brain"), *flags) as running:
        running.until_ready()
        yield running


@pytest.mark.setting("SERVER_HOST", "SERVER_PORT")
def test_it_listens_where_it_is_told_and_nowhere_else(brain: Brain) -> None:
    with socket.create_connection(("127.0.0.1", brain.port), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", brain.port), timeout=5)


@pytest.mark.setting("BRAIN_TOKEN")
def test_a_robot_must_show_the_token(brain: Brain) -> None:
    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=stranger") as robot:
            assert await robot.close_code() == 4401
        async with a_robot(brain.address, "?robot_id=friend&token=s3cret") as robot:
            await robot.next("ready")

    asyncio.run(main())


@pytest.mark.setting("SESSION_IDLE_S")
def test_a_robot_without_a_word_is_hung_up_on(brain: Brain) -> None:
    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=silent&token=s3cret") as robot:
            await robot.next("ready")
            assert await robot.close_code() == 4408

    asyncio.run(main())


@pytest.mark.setting("PLAN_MAX_INFLIGHT")
def test_health_counts_what_it_should(brain: Brain) -> None:
    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=counted&token=s3cret") as robot:
            await robot.next("ready")
            status, body = brain.get("/health?token=s3cret")
            assert status == 200
            assert body["plan_admission"] == {
                "max_inflight": 3, "inflight": 0, "admitted": 0, "rejected": 0,
            }  # fmt: skip
            sessions = body["converse_sessions"]
            counts = {name: sessions[name] for name in ("registered", "preempted", "unregistered")}
            assert all(type(count) is int for count in counts.values())
            assert sessions["active_sessions"] >= 1
            assert sessions["registered"] - sessions["unregistered"] == sessions["active_sessions"]
            assert "counted" in sessions["robots"]
            assert body["auto_pull_ollama_model"] is True
            assert body["llm_model"] == body["model"] == "pocket"
            assert body["model_available"] is True
            assert "s3cret" not in str(body)

    asyncio.run(main())


@pytest.mark.setting("SHUTDOWN_S", "LOG_LEVEL")
def test_a_reply_is_cut_at_the_end_without_patience(brain: Brain) -> None:
    """The last of this brain: it ends it, and looks at all that it has logged."""

    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=last&token=s3cret") as robot:
            await robot.send(type="say", text="These are my last words for today, " * 5)
            await robot.next("audio_delta", seconds=30)
            brain.process.send_signal(signal.SIGTERM)
            done = await robot.next("reply_done")
            assert done["reason"] != "completed"
            assert await robot.close_code() == 1001

    asyncio.run(main())
    assert brain.process.wait(20) == 0
    assert brain.log.read_text() == "", "there were no errors"


@pytest.mark.setting("GPU_UTILIZATION_CAP", "PERFORMANCE_MODE")
def test_too_much_of_the_gpu_is_one_line_and_78(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRAIN_CONFIG_DIR", str(tmp_path))
    for name in ("INVOCATION_ID", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    flags = ("--profile", "rtx3090ti", "--set", "GPU_UTILIZATION_CAP=0.6")
    assert brain_command(["settings", *flags]) == 0
    assert brain_command(["settings", *flags, "--set", "PERFORMANCE_MODE=1"]) == 78
    [line] = capsys.readouterr().err.splitlines()
    assert "0.7" in line
    assert "0.6" in line
    assert "lower one of the two" in line
