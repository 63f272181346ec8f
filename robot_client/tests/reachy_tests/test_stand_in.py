"""The stand-in drops, refuses and raises where the real app does; else it would prove nothing."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reachy_mini import ReachyMini
from reachy_mini.media.media_manager import Microphone, Player
from reachy_mini_conversation_app import prompts
from reachy_mini_conversation_app.config import config
from reachy_mini_conversation_app.console import LocalStream
from reachy_mini_conversation_app.moves import MovementManager
from reachy_mini_conversation_app.openai_realtime import OpenaiRealtimeHandler
from reachy_mini_conversation_app.tools.core_tools import dispatch_tool_call, get_tool_specs


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_microphone_gives_what_came_since_the_last_call() -> None:
    clock = Clock()
    microphone = Microphone(clock)
    assert microphone.read() is None, "nobody is recording"
    microphone.start()
    assert microphone.say(np.full(6_400, 0.5, np.float32)) == pytest.approx(100.4)
    assert microphone.read() is None
    clock.now += 0.25
    first = microphone.read()
    clock.now += 0.5
    second = microphone.read()
    assert first is not None
    assert second is not None
    assert (first.shape, first.dtype, second.shape) == ((4_000, 2), np.float32, (8_000, 2))
    assert np.abs(first[:, 0] - 0.5).max() < 0.01
    assert np.abs(second[:2_400, 0] - 0.5).max() < 0.01
    assert np.abs(second[2_400:]).max() < 0.01


def test_the_player_plays_in_real_time_whatever_it_is_given() -> None:
    clock = Clock()
    player = Player(clock)
    player.push(np.ones((160, 1), np.float32))
    assert player.pushed == [], "it wasn't started"
    player.start()
    for _ in range(10):
        player.push(np.ones((1_600, 1), np.float32))
    assert player.queued_s() == pytest.approx(1.0)
    clock.now += 0.3
    assert player.queued_s() == pytest.approx(0.7)
    player.flush()
    clock.now += 1
    assert sum(len(sound) for _at, sound in player.heard()) == 4_800
    assert player.flushed == [(100.3, 11_200)]
    player.push(np.ones((1_600, 1), np.float32))
    clock.now += 0.05
    assert player.heard()[-1][0] == pytest.approx(101.3)


def test_a_change_of_listening_that_comes_too_soon_is_dropped() -> None:
    clock = Clock()
    manager = MovementManager(ReachyMini(), now=clock)
    manager.set_listening(True)
    assert not manager.listening, "0.15 s since it was made"
    clock.now += 0.2
    manager.set_listening(True)
    clock.now += 0.1
    manager.set_listening(False)
    assert manager.listening == [(100.2, True)]
    assert [listening for _at, listening in manager.dropped] == [True, False]
    clock.now += 10
    assert not manager.is_idle(), "it listens"
    manager.set_listening(False)
    assert not manager.is_idle()
    clock.now += 0.31
    assert manager.is_idle()


def test_flushing_puts_another_queue_in_the_handlers_place(deps: Any) -> None:
    handler = OpenaiRealtimeHandler(deps)
    stream = LocalStream(handler, deps.reachy_mini)
    before = handler.output_queue
    before.put_nowait("lost")
    handler._clear_queue()
    assert handler.output_queue is not before
    assert handler.output_queue.empty()
    assert stream.handler is handler


@pytest.mark.parametrize(("profile", "ends"), [(None, False), ("empty", True), ("nobody", True)])
def test_a_profile_without_a_prompt_ends_the_process(
    deps: Any, monkeypatch: pytest.MonkeyPatch, profile: str | None, ends: bool
) -> None:
    monkeypatch.setattr(config, "REACHY_MINI_CUSTOM_PROFILE", profile)
    if ends:
        with pytest.raises(SystemExit):
            prompts.get_session_instructions()
    else:
        assert prompts.get_session_instructions()
    assert prompts.get_session_voice() == "cedar"


@pytest.mark.parametrize(
    ("name", "args", "part"),
    [
        ("dance", '{"move": "yeah_nod", "repeat": 2}', {"status": "queued", "repeat": 2}),
        ("dance", '{"move": "moonwalk"}', {"error": "Unknown dance move"}),
        ("dance", '{"repeat": "twice"}', {"error": "ValueError"}),
        ("move_head", '{"direction": "up"}', {"status": "looking up"}),
        ("move_head", "not json", {"error": "direction must be a string"}),
        ("play_emotion", '{"emotion": "sad1"}', {"status": "queued", "emotion": "sad1"}),
        ("camera", '{"question": " "}', {"error": "question must be a non-empty string"}),
        ("camera", '{"question": "Who?"}', {"error": "No frame available"}),
        ("head_tracking", '{"start": true}', {"status": "head tracking started"}),
        ("do_nothing", "", {"status": "doing nothing"}),
        ("fly", "{}", {"error": "unknown tool: fly"}),
    ],
)
def test_tools(deps: Any, name: str, args: str, part: dict[str, Any]) -> None:
    result = asyncio.run(dispatch_tool_call(name, args, deps))
    assert all(str(result[key]).startswith(str(value)) for key, value in part.items()), result


def test_the_cameras_picture_is_a_jpeg_in_its_colours(deps: Any) -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    frame[:, :, 0] = 255  # blue, as OpenCV has it
    deps.reachy_mini.media.frame = frame
    deps.camera_worker.start()
    result = asyncio.run(dispatch_tool_call("camera", '{"question": "Which colour?"}', deps))
    image = Image.open(io.BytesIO(base64.b64decode(result["b64_im"])))
    assert image.format == "JPEG"
    red, _green, blue = image.getpixel((4, 4))
    assert blue > 200 > 50 > red


def test_the_specs_are_flat() -> None:
    for spec in get_tool_specs():
        assert set(spec) == {"type", "name", "description", "parameters"}
        assert spec["type"] == "function"
