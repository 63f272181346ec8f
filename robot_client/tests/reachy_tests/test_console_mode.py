"""Console mode against a scripted brain: what a real one does too seldom to be waited for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import pytest
from client_tests.scripted import Script, Visit, scripted, tone
from reachy_mini_conversation_app.tools.core_tools import ALL_TOOLS, Tool

from reachy_tests.beside import beside
from reachy_tests.running_app import RunningApp, running_app
from robot_client.address import brain_address
from robot_client.reachy.server import LocalServer

NOTHING = np.zeros((8, 8, 3), np.uint8)

pytestmark = pytest.mark.usefixtures("unplugged")


@contextmanager
def talking(*scripts: Script) -> Iterator[RunningApp]:
    """The app on a thread of its own, a scripted brain on another."""
    with beside(scripted(*scripts)) as brain:
        with running_app(LocalServer(brain_address("127.0.0.1", brain.it.port)), NOTHING) as app:
            yield app
        assert app.stream.left_over == []


def script(talk: Callable[[Visit], Any]) -> Script:
    """A brain that welcomes the robot and then does this, until the robot goes."""

    async def whole(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await talk(visit)
        await visit.until_gone()

    return whole


def test_what_was_heard_is_shown_though_the_queue_is_replaced() -> None:
    async def talk(visit: Visit) -> None:
        await visit.send("transcript_user", text="Tell me a story.", turn=1)
        for second in range(4):
            await visit.audio(1, tone(1_000), seq=second)
        await visit.send("transcript_user", text="Stop!", turn=2)
        await visit.send("speech_started", turn=3)  # flushes: the app throws its queue away
        await visit.send("speech_stopped", turn=3)

    with talking(script(talk)) as app:
        app.until("a flush", lambda: bool(app.player.flushed))
        app.until("both shown", lambda: len(app.shown("user")) == 2)
        assert app.shown("user") == ["Tell me a story.", "Stop!"]
        app.until("no longer listening", lambda: bool(app.body.listening))
        app.until("no longer listening", lambda: not app.body.listening[-1][1], 5)
        assert not app.body.dropped, "the pose was changed faster than the robot takes it"
        assert app.player.queued_s() < 0.1


def test_sound_is_handed_over_as_it_is_played_and_not_before() -> None:
    """Else the player would hold what an interruption should take back."""
    most = 0.0

    async def talk(visit: Visit) -> None:
        await visit.audio(1, tone(900))
        await visit.send("reply_done", reply_id=1, reason="completed", timings_ms={})
        while (await visit.until("played"))["ms"] < 900:
            pass
        await visit.send("transcript_user", text="over", turn=2)

    with talking(script(talk)) as app:

        def over() -> bool:
            nonlocal most
            most = max(most, app.player.queued_s())
            return app.shown("user") == ["over"]

        app.until("over", over)
        assert most < 0.3
        sound = np.concatenate([piece for _at, piece in app.player.heard()])
        assert len(sound) == 900 * 16
        # Not resampled frame by frame on its way: the tone comes out as it went in.
        assert np.abs(sound - tone(900) / 32768).max() < 1e-3


def test_a_tool_that_blocks_holds_up_neither_ears_nor_mouth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    class Blocking(Tool):
        name = "dance"
        description = "Blocks its thread, as a tool may."
        parameters_schema: ClassVar[dict[str, Any]] = {"type": "object", "properties": {}}

        async def __call__(self, deps: Any, **kwargs: Any) -> dict[str, Any]:
            release.wait(20)
            return {"status": "at last"}

    monkeypatch.setitem(ALL_TOOLS, "dance", Blocking())

    async def talk(visit: Visit) -> None:
        await visit.send("tool_call", name="dance", args="{}", call_id="c", reply_id=1)
        before = len(visit.sound)
        await visit.audio(2, tone(400))
        await visit.send("reply_done", reply_id=2, reason="completed", timings_ms={})
        while (await visit.until("played"))["ms"] < 400:
            pass
        assert len(visit.sound) - before > 16_000 * 2 * 0.3
        release.set()
        assert (await visit.until("tool_result"))["output"] == {"status": "at last"}
        await visit.send("transcript_user", text="over", turn=2)

    with talking(script(talk)) as app:
        app.until("over", lambda: app.shown("user") == ["over"])
        assert json.loads(app.used("dance")[0]) == {"status": "at last"}


def test_a_refused_token_is_told_once_and_the_app_lives_on() -> None:
    visits = 0

    async def refuse(visit: Visit) -> None:
        nonlocal visits
        visits += 1
        await visit.socket.close(4401, "no or wrong token")

    with talking(refuse) as app:
        app.until("told", lambda: bool(app.shown("assistant")))
        time.sleep(0.5)  # in which it would have come back
        (told,) = app.shown("assistant")
        assert told.startswith("[error]")
        assert "token" in told
        assert visits == 1
        assert not app.ended


def test_a_brain_that_is_away_is_told_of_once() -> None:
    async def hang_up(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready()
        await visit.socket.close(1001)

    async def gone(visit: Visit) -> None:
        visit.socket.transport.abort()

    async def back(visit: Visit) -> None:
        await visit.until("session")
        await visit.ready(resumed=True)
        await visit.until_gone()

    with talking(hang_up, gone, gone, back) as app:
        app.until("back", lambda: len(app.shown("assistant")) == 2)
        away, again = app.shown("assistant")
        assert away.startswith("[error]")
        assert "there again" in again
