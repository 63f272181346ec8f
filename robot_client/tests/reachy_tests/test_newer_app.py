"""The face for the newer app: the launcher finds it, and the app's own parts are content with it.

The newer stand-in has the other's name, so what runs in this process is loaded under a fixture.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client_tests.scripted import Visit, scripted, tone

from reachy_tests.app_process import LAUNCHER, STAND_IN, app
from robot_client.address import brain_address
from robot_client.reachy.server import LocalServer

NEWER = Path(__file__).parent / "newer_stand_in"
PACKAGE = "reachy_mini_conversation_app"
FACE = "robot_client.reachy.conversation_face"


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The face's module, with the newer stand-in for the app."""
    saved = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(PACKAGE)}
    monkeypatch.syspath_prepend(str(NEWER))
    yield importlib.import_module(FACE)
    for name in [*sys.modules]:
        if name.startswith(PACKAGE) or name == FACE:
            del sys.modules[name]
    sys.modules.update(saved)


def a_stream(face: Any, brain_port: int, voice: str | None = None) -> Any:
    """The newer app's parts around a local handler, as its `run` puts them together."""
    console, main, tools = (
        importlib.import_module(f"{PACKAGE}.{name}")
        for name in ("console", "main", "tools.core_tools")
    )
    robot = main.ReachyMini()
    deps = tools.ToolDependencies(robot, main.MovementManager(robot))
    bound = face.bound_handler(LocalServer(brain_address("127.0.0.1", brain_port)))

    def build(startup_voice: str | None = None) -> Any:
        return bound(deps, instance_path="here", startup_voice=startup_voice)

    robot.media.start_recording()
    robot.media.start_playing()
    return console.LocalStream(build(voice), robot, handler_factory=build, startup_voice=voice)


async def welcome(visit: Visit) -> dict[str, Any]:
    session = await visit.until("session")
    await visit.ready(voices=["tone", "other"])
    return session


def test_the_launcher_finds_the_newer_app(tmp_path: Path) -> None:
    async def script(visit: Visit) -> None:
        session = await welcome(visit)
        assert [tool["name"] for tool in session["tools"]] == ["dance"]
        assert session["instructions"] == "You are a small robot."
        await visit.send("transcript_user", text="Are you the newer one?", turn=1)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain:
            flags = ("--local-server-ip", "127.0.0.1", "--local-server-port", str(brain.port))
            path = Path(f"{NEWER}{os.pathsep}{STAND_IN}")
            with app(tmp_path, LAUNCHER, *flags, path=path) as running:
                await running.until_async("role=user content=Are you the newer one?")
                assert await running.stop_async() == 0
                assert "Hugging Face handler" not in running.said()

    asyncio.run(main())


def test_a_reply_with_a_tool_reaches_page_and_speaker(newer: Any) -> None:
    over = asyncio.Event()

    async def script(visit: Visit) -> None:
        await welcome(visit)
        await visit.send("transcript_user", text="Dance!", turn=1)
        await visit.send("tool_call", name="dance", args='{"move": "x"}', call_id="c", reply_id=1)
        given = (await visit.until("tool_result"))["output"]
        assert given == {"status": "queued", "tool": "dance", "given": {"move": "x"}}
        await visit.audio(2, tone(200))
        await visit.send("transcript_assistant", text="I danced.", reply_id=2)
        await visit.send("reply_done", reply_id=2, reason="completed", timings_ms={})
        while (await visit.until("played"))["ms"] < 200:
            pass
        over.set()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain:
            stream = a_stream(newer, brain.port)
            assert not stream.backend_connected()
            loops = [
                asyncio.create_task(loop)
                for loop in (stream.run_handler(), stream.play_loop(), stream.record_loop())
            ]
            await asyncio.wait_for(over.wait(), 20)
            assert stream.backend_connected()
            assert stream.handler._is_connected()
            assert stream.seconds_since_activity() < 1
            stream._stop_event.set()
            await stream.handler.shutdown()
            await asyncio.wait_for(asyncio.gather(*loops), 5)
            assert not stream.backend_connected()
        assert [what for what in stream.transcripts if what[0] == "user"] == [
            ("user", "Dance!", True)
        ]
        assert ("assistant", "I danced.", True) in stream.transcripts
        assert "user_transcription_completed" in stream.activities
        assert "assistant_transcript_done" in stream.activities
        heard = sum(len(sound) for _at, sound in stream._robot.media.audio.player.heard())
        assert heard == 16_000 * 200 // 1000

    asyncio.run(main())


def test_voices_personalities_and_notices(newer: Any) -> None:
    async def script(visit: Visit) -> None:
        session = await welcome(visit)
        assert session["instructions"] == "Remember here.\n\nYou are a small robot."
        assert session["voice"] == "other"
        changed = await visit.until("session")
        assert changed["instructions"].endswith("You are a detective in the rain.")
        assert [tool["name"] for tool in changed["tools"]] == ["dance", "investigate"]
        assert (await visit.until("session"))["voice"] == "tone"
        assert (await visit.until("text"))["text"] == "Say that the cake is ready."
        await visit.until_gone()

    async def main() -> None:
        async with scripted(script) as brain:
            stream = a_stream(newer, brain.port, "other")
            handler = stream.handler
            assert handler.get_current_voice() == "other"
            with pytest.raises(ConnectionError):
                await handler.say("nobody hears this")
            task = asyncio.create_task(handler.start_up())
            while "tone" not in await handler.get_available_voices():
                await handler.emit()
            assert (await handler.apply_personality("noir")).startswith("Applied")
            assert (await handler.apply_personality("nobody")).startswith("Failed")
            assert await handler.change_voice("tone") == "Voice changed to tone."
            assert handler.get_current_voice() == "tone"
            await handler.say("Say that the cake is ready.", allow_tools=False)
            while len(brain.visits[0].messages) < 4:
                await handler.emit()
            await handler.shutdown()
            await asyncio.wait_for(task, 5)

    asyncio.run(main())


def test_the_settings_page_can_have_it_made_anew(newer: Any) -> None:
    there, again = asyncio.Event(), asyncio.Event()

    async def first(visit: Visit) -> None:
        await welcome(visit)
        there.set()
        await visit.until_gone()

    async def second(visit: Visit) -> None:
        await welcome(visit)
        again.set()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(first, second) as brain:
            stream = a_stream(newer, brain.port)
            before = stream.handler
            task = asyncio.create_task(stream.run_handler())
            await asyncio.wait_for(there.wait(), 10)
            await asyncio.wait_for(stream.request_backend_restart(), 3)
            await asyncio.wait_for(again.wait(), 10)
            assert stream.handler is not before
            stream._stop_event.set()
            await stream.handler.shutdown()
            await asyncio.wait_for(task, 5)

    asyncio.run(main())
