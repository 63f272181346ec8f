"""`reachy-mini-local`, as a process, with the stand-in for the app and a scripted brain."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from client_tests.scripted import Visit, scripted, tone

from reachy_tests.app_process import LAUNCHER, STAND_IN, AppProcess, app, ended
from robot_client.reachy import launch

OPENAI = "the OpenAI handler is used"
KEY_TRAP = "waiting for it"


async def a_short_talk(visit: Visit) -> None:
    """Welcome the robot, make it dance, and be heard."""
    session = await visit.until("session")
    assert {tool["name"] for tool in session["tools"]} == {
        "dance", "stop_dance", "play_emotion", "stop_emotion", "camera", "do_nothing",
        "head_tracking", "move_head",
    }  # fmt: skip
    assert session["instructions"].startswith("You are a small robot")
    await visit.ready(voices=["tone", "other"])
    while len(visit.sound) < 16_000:
        await visit.receive()
    await visit.send("transcript_user", text="Dance for me.", turn=1)
    await visit.send("reply_started", turn=1, reply_id=1)
    await visit.send(
        "tool_call", name="dance", args='{"move": "yeah_nod"}', call_id="c", reply_id=1
    )
    result = await visit.until("tool_result")
    assert result["output"] == {"status": "queued", "move": "yeah_nod", "repeat": 1}
    await visit.send("reply_started", turn=1, reply_id=2)
    await visit.audio(2, tone(300))
    await visit.send("transcript_assistant", text="That was a nod.", reply_id=2)
    await visit.send("reply_done", reply_id=2, reason="completed", timings_ms={})
    while (await visit.until("played"))["ms"] < 300:
        pass
    await visit.send("transcript_user", text="Thank you.", turn=2)
    await visit.until_gone()


@pytest.fixture(scope="module")
def without_the_flags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("without")
    with app(folder, LAUNCHER, "--no-camera", "--robot-id", "desk") as running:
        yield running


@pytest.mark.usefixtures("without_the_flags")  # both start at once: importing fastrtc takes seconds
def test_the_flags_put_the_local_handler_in_place(tmp_path: Path) -> None:
    async def main() -> None:
        async with scripted(a_short_talk) as brain:
            flags = ("--local-server-ip", "127.0.0.1", "--local-server-port", str(brain.port))
            with app(
                tmp_path, LAUNCHER, *flags, "--robot-id", "desk", "--debug", BRAIN_TOKEN="t0ken"
            ) as running:
                await running.until_async("role=user content=Thank you.")
                status = await running.stop_async(signal.SIGTERM)  # as systemd does
                said = running.said()
            visited = brain.visits[0].socket.request
            assert visited is not None
            assert visited.path == "/ws?robot_id=desk"
            assert visited.headers["Authorization"] == "Bearer t0ken"
            assert status == 0, said
            assert "role=user content=Dance for me." in said
            assert "role=assistant content=That was a nod." in said
            assert '"status": "queued"' in said
            assert "shutdown complete" in said
            assert "DEBUG" in said, "--debug is the app's own flag"
            assert OPENAI not in said
            assert "fetching a key" not in said
            assert KEY_TRAP not in said

    asyncio.run(main())
    assert [path.name for path in tmp_path.iterdir()] == ["app.log"], "a key was written"


def test_without_the_flags_it_is_the_app_as_it_was(without_the_flags: AppProcess) -> None:
    without_the_flags.until(OPENAI)
    without_the_flags.until(KEY_TRAP)  # the trap that the local handler must not fall into
    assert "fetching a key" in without_the_flags.said()
    assert without_the_flags.stop() == 0


def test_help_shows_our_flags_and_the_apps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["reachy-mini-local"])
    with pytest.raises(SystemExit) as end:  # the app's parser ends it
        launch.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    ours = ("--local-server-ip", "--local-server-port", "--local-server-token", "--robot-id")
    assert [flag for flag in (*ours, "--no-camera", "--gradio") if flag not in said] == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--local-server-ip h --local-server-port 99999", "'99999' is no port"),
        ("--local-server-ip h --local-server-port", "expected one argument"),
        ("--local-server-port 8000", "says nothing without --local-server-ip"),
        ("--local-server-ip ws://h:1 --local-server-port 2", "port 1"),
    ],
)
def test_bad_flags_end_it_with_a_sentence(tmp_path: Path, line: str, complaint: str) -> None:
    with app(tmp_path, LAUNCHER, *line.split()) as running:
        status, said = ended(running)
    assert status == 2
    assert complaint in said
    assert "Traceback" not in said


def test_without_the_app_it_says_what_is_missing(tmp_path: Path) -> None:
    with app(tmp_path, LAUNCHER, "--local-server-ip", "h", path=None) as running:
        status, said = ended(running)
    assert status == 69
    assert "reachy_mini_conversation_app isn't installed" in said
    with app(tmp_path, LAUNCHER, "--help", path=None) as running:
        assert ended(running)[0] == 0


def test_an_unknown_version_of_the_app_is_named_as_such(tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(STAND_IN, other)
    (other / "reachy_mini_conversation_app" / "openai_realtime.py").unlink()
    with app(tmp_path, LAUNCHER, "--local-server-ip", "h", path=other) as running:
        status, said = ended(running)
    assert status == 69
    assert "openai_realtime" in said
    assert "docs/reachy.md" in said
    assert "Traceback" not in said
