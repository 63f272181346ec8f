"""The pose, the partial transcripts, the environment and the app's adapter, without a socket."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_tests.reachy_parts import Manager, Wobbler
from robot_client.messages import AudioDelta
from robot_client.reachy.app import NO_KEY, InstalledApp
from robot_client.reachy.body import ListeningPose, Wobble
from robot_client.reachy.messages import said
from robot_client.reachy.outputs import Outputs
from robot_client.reachy.picture import fit
from robot_client.reachy.server import LocalServer, default_robot_id
from tests.virtual_time import run_virtual


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=20))
def test_the_pose_always_ends_as_wanted(changes: list[tuple[float, bool]]) -> None:
    """However fast speech starts and stops, and though the app drops what is too fast."""

    async def main() -> Manager:
        clock = asyncio.get_running_loop().time
        manager = Manager(clock)
        pose = ListeningPose(manager, clock)
        for pause, listening in changes:
            await asyncio.sleep(pause)
            pose.set(listening)
        await asyncio.sleep(1)
        return manager

    manager = run_virtual(main())
    assert manager.dropped == 0
    assert manager.listening == (bool(changes) and changes[-1][1])
    assert all(a != b for a, b in zip(manager.toggles, manager.toggles[1:], strict=False))


def test_a_closed_pose_doesnt_listen() -> None:
    async def main() -> Manager:
        clock = asyncio.get_running_loop().time
        manager = Manager(clock)
        pose = ListeningPose(manager, clock)
        pose.set(listening=True)
        await asyncio.sleep(1)
        pose.set(listening=False)
        pose.set(listening=True)
        pose.close()
        await asyncio.sleep(1)
        return manager

    assert run_virtual(main()).listening is False


def test_the_wobbler_is_reset_before_a_reply_that_follows_a_pause() -> None:
    wobbler = Wobbler()
    wobble = Wobble(wobbler)
    sound = AudioDelta(np.zeros(240, "<i2").tobytes(), 24_000, reply_id=1)
    wobble.feed(sound, silent=True)
    wobble.feed(sound, silent=True)  # of the same reply: its clock runs
    assert wobbler.resets == 1
    wobble.feed(AudioDelta(sound.pcm, 24_000, reply_id=2), silent=False)  # right behind it
    assert wobbler.resets == 1
    assert len(wobbler.fed) == 3


def test_the_wobbler_gets_24_khz_whatever_the_brain_sends() -> None:
    wobbler = Wobbler()
    wobble = Wobble(wobbler)
    for _ in range(50):
        wobble.feed(AudioDelta(np.zeros(320, "<i2").tobytes(), 16_000, reply_id=1), silent=True)
    samples = sum(len(base64.b64decode(part)) // 2 for part in wobbler.fed)
    assert 24_000 - 2_400 < samples <= 24_000  # but for what the resampler still holds
    Wobble(None).feed(AudioDelta(b"\0\0"), silent=True)  # a robot without one


class Face:
    def __init__(self) -> None:
        self.output_queue: asyncio.Queue[Any] = asyncio.Queue()
        self._clear_queue: Callable[[], None] | None = None


def test_partials_are_shown_when_they_have_stood_for_half_a_second() -> None:
    async def main() -> list[Any]:
        face = Face()
        outputs = Outputs(face, lambda message: message)
        for words in ("what", "what is", "what is your"):
            outputs.show_partial(words)
            await asyncio.sleep(0.3)
        await asyncio.sleep(0.3)
        outputs.show_partial("what is your name")
        outputs.show(said("Robo."))
        await asyncio.sleep(1)
        return [face.output_queue.get_nowait() for _ in range(face.output_queue.qsize())]

    assert run_virtual(main()) == [
        {"role": "user_partial", "content": "what is your"},
        {"role": "assistant", "content": "Robo."},
    ]


def test_nobody_clears_before_the_app_has_put_its_function_there() -> None:
    async def main() -> None:
        face = Face()
        outputs = Outputs(face, lambda message: message)
        outputs.show(said("stays"))
        face.output_queue.put_nowait((24_000, np.zeros((1, 480), np.int16)))
        outputs.hush()
        assert await outputs.next() == said("stays")
        assert await outputs.next() is None

    run_virtual(main())


def test_the_environment_names_the_brain() -> None:
    server = LocalServer.from_environment({})
    assert server.address.host == "auto"
    assert server.address.robot_id == default_robot_id()
    server = LocalServer.from_environment(
        {
            "LOCAL_SERVER_IP": "brain.lan",
            "LOCAL_SERVER_PORT": "8000",
            "LOCAL_SERVER_TLS": "1",
            "BRAIN_TOKEN": "t",
            "ROBOT_ID": "r2",
            "LOCAL_SERVER_ECHO_CANCELLATION": "0",
        }
    )
    assert (server.address.host, server.address.port) == ("brain.lan", 8000)
    assert (server.address.tls, server.address.token, server.address.robot_id) == (True, "t", "r2")
    assert server.echo_cancellation is False
    with pytest.raises(ValueError, match="LOCAL_SERVER_PORT"):
        LocalServer.from_environment({"LOCAL_SERVER_PORT": "eight"})


def test_what_isnt_a_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match="picture"):
        fit("A" * 800_000)


@pytest.fixture
def an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with the modules that the adapter reads, of the newer shape."""
    folder = tmp_path / "an_app"
    (folder / "tools").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "config.py": "class config: OPENAI_API_KEY = None; REACHY_MINI_CUSTOM_PROFILE = None\n"
        "def set_custom_profile(p): config.REACHY_MINI_CUSTOM_PROFILE = p\n",
        "prompts.py": "def get_session_instructions(instance_path): return f'at {instance_path}'\n"
        "def get_session_voice(): return 'cedar'\n",
        "tools/__init__.py": "",
        "tools/core_tools.py": "loads = []\n"
        "def get_tool_specs(): return [{'name': 'n%d' % len(loads)}]\n"
        "def initialize_tools(force): loads.append(force)\n"
        "async def dispatch_tool_call(name, args, deps): return {name: args}\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "an_app"
    for name in [name for name in sys.modules if name.split(".")[0] == "an_app"]:
        del sys.modules[name]


def test_the_adapter_speaks_the_newer_app_too(an_app: str) -> None:
    app = InstalledApp("here", an_app)
    assert app.instructions() == "at here"
    assert app.profile() is None
    app.choose_profile("pirate")
    assert app.profile() == "pirate"
    assert [spec["name"] for spec in app.tool_specs()] == ["n1"], "its tools weren't loaded anew"
    assert asyncio.run(app.dispatch("dance", "{}", None)) == {"dance": "{}"}  # type: ignore[arg-type]


def test_a_key_is_made_up_only_where_there_is_none(an_app: str) -> None:
    app = InstalledApp(None, an_app)
    config = sys.modules.get("an_app.config") or __import__("an_app.config").config
    app.need_no_key()
    assert config.config.OPENAI_API_KEY == NO_KEY
    config.config.OPENAI_API_KEY = "sk-real"
    app.need_no_key()
    assert config.config.OPENAI_API_KEY == "sk-real"
