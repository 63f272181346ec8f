"""The handler's core against a scripted brain on a real socket."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from client_tests.reachy_parts import Robot, ScriptedApp, at, greet, running, say
from client_tests.scripted import Visit, scripted, tone
from robot_client.pcm import to_bytes

Run = Callable[[Awaitable[Any]], Any]


def test_the_session_is_what_the_app_says(run: Run) -> None:
    told = []

    async def brain_side(visit: Visit) -> None:
        told.append(await greet(visit))
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain), ScriptedApp({"dance": lambda _a: {}}))
            async with running(robot):
                await robot.until(lambda: robot.core.reactions.voices)
                assert await robot.core.get_available_voices() == ["cedar", "tone"]

    run(main())
    assert told[0] == {
        "type": "session",
        "input_sample_rate": 16_000,
        "output_sample_rate": 24_000,
        "instructions": "You are Reachy.",
        "voice": "cedar",
        "playback_marks": True,
        "echo_cancellation": True,
        "tools": [{"name": "dance", "description": "dances",
                   "parameters": {"type": "object", "properties": {}}}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("speaker", "gradio", "emitted"),
    [(16_000, False, 16_000), (16_000, True, 24_000), ("?", False, 24_000)],
)
def test_sound_has_the_speakers_rate_and_the_wobbler_gets_24_khz(
    run: Run, speaker: Any, gradio: bool, emitted: int
) -> None:
    marks: list[int] = []

    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        await visit.send("reply_started", reply_id=1, turn=1)
        await say(visit, 1, tone(300))  # at 24 kHz it lasts 200 ms
        await visit.send("reply_done", reply_id=1, reason="completed", timings_ms={})
        while not marks or marks[-1] < 200:
            marks.append((await visit.until("played"))["ms"])
        await visit.until_gone()

    async def main() -> Robot:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain), speaker_rate=speaker, gradio_mode=gradio)
            async with running(robot):
                await robot.until(lambda: marks and marks[-1] >= 200)
            return robot

    robot = run(main())
    assert {rate for rate, _frame in robot.frames} == {emitted}
    assert all(frame.shape[0] == 1 and frame.dtype == np.int16 for _rate, frame in robot.frames)
    assert sum(frame.shape[1] for _rate, frame in robot.frames) == emitted // 5
    assert max(frame.shape[1] for _rate, frame in robot.frames) == emitted // 50
    assert b"".join(base64.b64decode(part) for part in robot.wobbler.fed) == to_bytes(tone(300))
    assert marks == sorted(marks)
    assert marks[-1] == 200


def test_an_interruption_flushes_sound_and_keeps_words(run: Run) -> None:
    interrupt = asyncio.Event()
    played: list[dict[str, Any]] = []

    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        await visit.send("reply_started", reply_id=1, turn=1)
        await say(visit, 1, tone(900))
        await interrupt.wait()
        await visit.send("transcript_user", text="stop", turn=2)
        await visit.send("speech_started", turn=2)
        played.append(await visit.until("played"))
        await visit.send("speech_stopped", turn=2)
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain))
            async with running(robot):
                await robot.until(lambda: len(robot.frames) >= 5)
                interrupt.set()
                await robot.until(lambda: robot.manager.listening)
                frames = len(robot.frames)
                assert robot.cleared
                await robot.until(lambda: not robot.manager.listening)
                assert robot.manager.dropped == 0, "the app would have stayed frozen"
                assert len(robot.frames) <= frames + 1, "sound went on after the flush"
                assert {"role": "user", "content": "stop"} in robot.messages

    run(main())
    assert 0 < played[0]["ms"] < 600


def test_tools_run_beside_the_loop_and_always_answer(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr("robot_client.reachy.tools.TIME_LIMIT_S", 0.2)
    threads: list[str] = []
    results: dict[str, Any] = {}

    async def hang() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {}

    def dance(arguments: Any) -> dict[str, Any]:
        threads.append(threading.current_thread().name)
        return {"status": "queued", **arguments}

    def fail(_arguments: Any) -> dict[str, Any]:
        raise RuntimeError("the motor is hot")

    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        await visit.send("reply_started", reply_id=1, turn=1)
        for name in ("hang", "dance", "fail", "fly"):
            await visit.send("tool_call", name=name, args='{"n": 1}', call_id=name, reply_id=1)
        while len(results) < 4:
            result = await visit.until("tool_result")
            results[result["call_id"]] = result["output"]
        await visit.until_gone()

    async def main() -> Robot:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain), ScriptedApp({"hang": lambda _a: hang(), "dance": dance,
                                                  "fail": fail}))  # fmt: skip
            async with running(robot):
                await robot.until(lambda: len(results) == 4)
            return robot

    robot = run(main())
    assert results["dance"] == {"status": "queued", "n": 1}
    assert threads != ["MainThread"]
    assert "the motor is hot" in results["fail"]["error"]
    assert "fly" in results["fly"]["error"]
    assert "error" in results["hang"]
    shown = [m for m in robot.messages if m.get("metadata")]
    assert {m["metadata"]["title"] for m in shown} == {
        f"🛠️ Used tool {name}" for name in ("hang", "dance", "fail", "fly")
    }
    assert all(m["metadata"]["status"] == "done" for m in shown)


def test_a_camera_picture_goes_as_an_image_that_fits(run: Run) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG", quality=95)  # over 2 MB: the wire takes 1 MiB
    large = base64.b64encode(out.getvalue()).decode()
    seen: list[dict[str, Any]] = []

    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        await visit.send("reply_started", reply_id=1, turn=1)
        await visit.send("tool_call", name="camera", args="{}", call_id="c1", reply_id=1)
        await visit.until("tool_result")
        seen.extend(m for m in visit.messages if m["type"] in ("image", "tool_result"))
        await visit.until_gone()

    async def main() -> Robot:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain), ScriptedApp({"camera": lambda _a: {"b64_im": large}}))
            async with running(robot):
                await robot.until(lambda: seen and len(robot.messages) >= 2)
            return robot

    robot = run(main())
    image, result = seen
    assert (image["type"], image["call_id"]) == ("image", "c1")
    picture = Image.open(io.BytesIO(base64.b64decode(image["data"])))
    assert max(picture.size) == 1024
    assert "b64_im" not in json.dumps(result)
    assert "b64_im" not in robot.messages[0]["content"]
    shown = robot.messages[1]["content"]
    assert shown[0, 0].tolist() == [0, 0, 255], "blue, in the order that people see"


def test_idle_is_said_once_and_only_to_a_brain(run: Run) -> None:
    now = [100.0]
    idle: list[dict[str, Any]] = []

    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        idle.append(await visit.until("idle"))
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain), clock=lambda: now[0])
            robot.manager.idle = True
            now[0] += 20
            await robot.core.emit()
            assert not robot.core.reactions.is_idle_tool_call, "there was nobody to tell"
            async with running(robot):
                await robot.until(lambda: robot.core.reactions.voices)
                now[0] += 14
                await robot.core.emit()
                assert not robot.core.reactions.is_idle_tool_call
                now[0] += 2
                await robot.until(lambda: idle)
                assert robot.core.reactions.is_idle_tool_call
                assert idle[0]["seconds"] == 16

    run(main())
    assert len(idle) == 1


def test_a_personality_is_changed_at_once_or_not_at_all(run: Run) -> None:
    changes: list[dict[str, Any]] = []

    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        changes.append(await visit.until("session"))
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain))
            assert "as soon as" in await robot.core.apply_personality("pirate")
            await robot.core.apply_personality(None)
            async with running(robot):
                await robot.until(lambda: robot.core.reactions.voices)
                assert "Failed" in await robot.core.apply_personality("broken")
                assert robot.app.chosen is None
                assert await robot.core.apply_personality("pirate") == "Applied personality."
                await robot.until(lambda: changes)

    run(main())
    assert changes[0]["instructions"] == "You are pirate."


def test_people_are_told_once_that_the_brain_is_away_and_once_that_it_is_back(run: Run) -> None:
    async def dies(visit: Visit) -> None:
        await visit.until("session")

    async def lives(visit: Visit) -> None:
        await greet(visit, resumed=True)
        await visit.until_gone()

    async def main() -> Robot:
        async with scripted(dies, dies, lives) as brain:
            robot = Robot(at(brain))
            async with running(robot):
                await robot.until(lambda: robot.core.reactions.voices)
                await robot.until(lambda: len(robot.messages) >= 2)
            return robot

    robot = run(main())
    away, back = robot.messages
    assert away["role"] == back["role"] == "assistant"
    assert away["content"].startswith("[error]")
    assert "again" in back["content"]


def test_a_refused_token_is_said_and_the_app_goes_on(run: Run) -> None:
    async def refuses(visit: Visit) -> None:
        await visit.socket.close(4401, "token missing or wrong")

    async def main() -> None:
        async with scripted(refuses) as brain:
            robot = Robot(at(brain))
            async with running(robot):
                await robot.until(lambda: robot.messages)
                assert "token" in robot.messages[0]["content"]
                assert "started anew" in robot.messages[0]["content"]
                await robot.core.receive((16_000, np.zeros((160, 2), np.float32)))  # still alive
            assert len(brain.visits) == 1

    run(main())


def test_microphone_sound_of_the_app_arrives_as_the_wires(run: Run) -> None:
    heard = asyncio.Event()

    async def brain_side(visit: Visit) -> None:
        await greet(visit)
        while len(visit.sound) < 2 * 1600:
            await visit.receive()
        heard.set()
        await visit.until_gone()

    async def main() -> None:
        async with scripted(brain_side) as brain:
            robot = Robot(at(brain))
            await robot.core.receive((16_000, np.zeros((160, 2), np.float32)))  # nobody yet: silent
            async with running(robot):
                await robot.until(lambda: robot.core.reactions.voices)
                stereo = np.full((1600, 2), 0.5, np.float32)
                stereo[:, 1] = -1.0
                await robot.core.receive((16_000, stereo))
                await robot.core.receive((16_000, np.array(["noise"])))
                await asyncio.wait_for(heard.wait(), 5)
                sound = np.frombuffer(bytes(brain.visits[0].sound), "<i2")
                assert np.abs(sound - 16384).max() <= 1

    run(main())
