"""A whole conversation: the app (its stand-in), the handler, and a real brain on real sockets.

Everything goes at its own pace: microphone frames in real time, a player that plays in real time.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import gradio
import numpy as np
import pytest
from reachy_mini_conversation_app import openai_realtime
from reachy_mini_conversation_app.config import config
from reachy_mini_conversation_app.moves import Move

from reachy_tests.pocket_brain import PocketBrain, a_pocket_brain, spoken
from reachy_tests.running_app import running_app
from robot_client.address import brain_address
from robot_client.reachy.server import LocalServer

NAME, DANCE, LEFT, SEE, STORY, STOP = (
    "What is your name?", "Dance for me!", "Look to the left.", "What do you see?",
    "Tell me a story.", "Stop talking.",
)  # fmt: skip
IDLE_AFTER_S = 3.0
FRAME = np.zeros((48, 64, 3), np.uint8)
FRAME[:, :, 0] = 200  # blue, in a BGR frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("brain")


@pytest.fixture(scope="module")
def brain(folder: Path) -> Iterator[PocketBrain]:
    with a_pocket_brain(folder) as running:
        yield running


def sockets() -> set[str]:
    """The open sockets of this process."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own is gone by now
            found.add(str(entry.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("unplugged")
def test_a_whole_conversation(brain: PocketBrain, folder: Path) -> None:
    sound = spoken(folder, (NAME, DANCE, LEFT, SEE, STORY, STOP))
    brain.until_ready()
    address = brain_address("127.0.0.1", brain.port, robot_id="stand-in")
    threads, open_before = set(threading.enumerate()), sockets()
    with running_app(LocalServer(address, idle_after_s=IDLE_AFTER_S), FRAME) as app:
        handler = app.stream.handler
        assert openai_realtime.OpenaiRealtimeHandler.__name__ == "BoundHandler"

        def ask(text: str) -> float:
            at = app.say(sound[text])
            app.until(f"heard {text!r}", lambda: text in app.shown("user", at - 2))
            return at

        def answered(since: float) -> None:
            app.until("answered", lambda: bool(app.answers(since)))
            app.until_quiet()

        # heard, and spoken
        at = ask(NAME)
        answered(at)
        assert app.spoken_ms(at) > 500
        assert sum(len(pcm) for _at, pcm in app.wobbler.fed) / 24 > 500
        changes = [listening for _at, listening in app.body.listening]
        assert changes[:2] == [True, False]
        assert not app.body.dropped

        # a tool, its result spoken about
        at = ask(DANCE)
        app.until("a dance", lambda: bool(app.used("dance", at)))
        assert json.loads(app.used("dance", at)[0])["status"] == "queued"
        assert [move.kind for move in app.body.moves] == ["dance"]
        answered(at)
        assert app.spoken_ms(at) > 300

        # a tool with arguments
        at = ask(LEFT)
        app.until("a look", lambda: bool(app.used("move_head", at)))
        assert json.loads(app.used("move_head", at)[0]) == {"status": "looking left"}
        assert app.body.moves[-1] == Move("head", "left", 1.0)
        answered(at)

        # a picture: shown to people in their colours, and not in the result's JSON
        at = ask(SEE)
        app.until("a picture", lambda: bool(app.pictures()))
        (result,) = app.used("camera", at)
        assert len(result) < 200
        (picture,) = app.pictures()
        assert isinstance(picture, gradio.Image)
        answered(at)

        # an interruption: the sound in the player is gone at once
        at = ask(STORY)
        app.until("some of the story", lambda: app.spoken_ms(at) > 1_000)
        flushes = len(app.player.flushed)
        app.say(sound[STOP])
        app.until("a flush", lambda: len(app.player.flushed) > flushes, 5)
        assert app.player.queued_s() < 0.1
        app.until(f"heard {STOP!r}", lambda: STOP in app.shown("user", at))
        app.until_quiet()

        # idle: the robot does something small, and says nothing
        since = time.monotonic()
        app.until("idle", lambda: bool(app.used(after=since)), IDLE_AFTER_S + 30)
        assert not app.shown("assistant", since)
        assert app.spoken_ms(since) == 0

        # another personality, by the settings page
        assert "noir_detective" in app.page.get("/personalities").json()["choices"]
        answer = app.page.post("/personalities/apply", params={"name": "noir_detective"})
        assert answer.json() == {"ok": True, "status": "Applied personality."}
        assert config.REACHY_MINI_CUSTOM_PROFILE == "noir_detective"
        assert app.page.get("/voices").json()[0] == "cedar"
        broken = app.page.post("/personalities/apply", params={"name": "empty"}).json()
        assert broken["status"].startswith("Failed to apply personality")
        assert config.REACHY_MINI_CUSTOM_PROFILE == "noir_detective"

        # the brain dies, and comes back
        since = time.monotonic()
        brain.kill()
        app.until("told", lambda: bool(app.shown("assistant", since)))
        brain.start()
        brain.until_ready()
        app.until("back", lambda: handler.core.connected)
        app.until("told so", lambda: len(app.shown("assistant", since)) == 2)
        gone, back = app.shown("assistant", since)
        assert gone.startswith("[error]")
        assert "there again" in back
        at = ask(NAME)
        answered(at)
    assert app.stream.left_over == []
    assert not handler.core.connected
    assert handler.output_queue.empty()
    left = {thread for thread in threading.enumerate() if thread not in threads}
    assert not left
    assert sockets() <= open_before
