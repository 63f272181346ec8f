"""A conversation of the app's over a network that is slow, stands still, breaks, or loses packets.

The handler, fastrtc, the brain and the network's faults are real; the app is its stand-in.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reachy_mini_conversation_app.console import LocalStream

from reachy_tests.beside import beside
from reachy_tests.pocket_brain import PYTHON, spoken
from reachy_tests.running_app import RunningApp, running_app
from robot_client.address import brain_address
from robot_client.connection import Connection
from robot_client.reachy.paced_speaker import PacedSpeaker
from robot_client.reachy.server import LocalServer
from tests.e2e.faults.brain_inside import ADDRESS, BrainInside, a_brain_inside
from tests.e2e.faults.namespace import Namespace
from tests.e2e.faults.proxy import Proxy

ANNA, WHO, NAME, DANCE, LEFT = (
    "My name is Anna.", "What is my name?", "What is your name?", "Dance for me!",
    "Look to the left.",
)  # fmt: skip
DELAY_S, CUT_S = 0.1, 10.0
# After a second without sound the brain takes a sentence for over: the robot may have hung up.
STALL_IN_QUESTION_S, STALL_IN_ANSWER_S = 0.6, 2.0
LOSSY, ONE_IN = "127.0.0.2", 20
NOTHING = np.zeros((8, 8, 3), np.uint8)
MARK_MS = 100  # how far a mark may be from what had come out of the speaker by then

pytestmark = [pytest.mark.usefixtures("unplugged"), pytest.mark.timeout(180)]

Sound = NDArray[np.float32]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("brain")


@pytest.fixture(scope="module")
def brain(folder: Path) -> Iterator[BrainInside]:
    """Its engines perhaps still loading."""
    with Namespace(PYTHON) as network, a_brain_inside(network, folder, python=PYTHON) as running:
        yield running


@pytest.fixture(scope="module")
def sound(brain: BrainInside, folder: Path) -> dict[str, Sound]:
    said = spoken(folder, (ANNA, WHO, NAME, DANCE, LEFT))
    brain.until_ready()
    return said


@dataclass
class Wire:
    """What the app doesn't show of it.

    marks: when a `played` was sent, for which reply, and its milliseconds. ended: when a
    `reply_done` came.
    """

    marks: list[tuple[float, int, int]] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    seen, send, end = Wire(), Connection.send, PacedSpeaker.end

    def sending(connection: Connection, frame: str) -> bool:
        message = json.loads(frame)
        if message["type"] == "played":
            seen.marks.append((time.monotonic(), message["reply_id"], message["ms"]))
        return send(connection, frame)

    def ending(speaker: PacedSpeaker, reply_id: int) -> None:
        seen.ended.append(time.monotonic())
        end(speaker, reply_id)

    monkeypatch.setattr(Connection, "send", sending)
    monkeypatch.setattr(PacedSpeaker, "end", ending)
    return seen


@dataclass
class Talk:
    """Somebody who talks to the robot, and who sees what it shows, says and sends."""

    app: RunningApp
    sound: dict[str, Sound]
    wire: Wire
    since: float = field(default_factory=time.monotonic)

    def ask(self, text: str, during: Callable[[], object] | None = None) -> str:
        """Say this, do something meanwhile, and hear the whole answer out."""
        since = time.monotonic()
        self.app.say(self.sound[text])
        if during is not None:
            during()
        return self.answer_to(text, since)

    def answer_to(self, text: str, since: float) -> str:
        """What the robot answers; that it heard this, and all of its answer was played."""
        self.app.until(f"heard {text!r}", lambda: text in self.app.shown("user", since))
        self.app.until("answered", lambda: bool(self.app.answers(since)))
        fed = self.app.wobbler.fed
        self.app.until("all of it came", lambda: self.wire.ended[-1:] > [at for at, _ in fed[-1:]])
        self.app.until_quiet()
        came_ms = sum(len(pcm) for at, pcm in fed if at >= since) / 24
        pieces = [(at, len(piece)) for at, piece in self.app.player.heard() if at >= since]
        assert came_ms > 300
        assert sum(length for _at, length in pieces) / 16 == pytest.approx(came_ms, abs=1)
        self._marks_are_true(since, pieces)
        return " ".join(self.app.answers(since))

    def notices(self, since: float | None = None) -> list[str]:
        """What people were told of the connection."""
        said = self.app.shown("assistant", self.since if since is None else since)
        return [text for text in said if text.startswith("[")]

    def told_of_the_way_there_and_back(self, since: float) -> None:
        """Once each, however often it tried."""
        gone, back = self.notices(since)
        assert gone.startswith("[error]")
        assert "there again" in back

    def _marks_are_true(self, since: float, pieces: list[tuple[float, int]]) -> None:
        """Each says what the speaker had played by then; the last of each reply says all of it."""
        starts = [at for at, _length in pieces]
        before = np.cumsum([0, *(length for _at, length in pieces)]) / 16
        ended_ms, reply, marked_ms = 0, 0, 0
        marks = [mark for mark in self.wire.marks if mark[0] >= since]
        assert len(marks) >= 3
        for at, reply_id, ms in marks:
            assert reply_id >= reply
            if reply_id > reply:
                ended_ms, reply, marked_ms = ended_ms + marked_ms, reply_id, 0
            assert ms > marked_ms
            marked_ms = ms
            begun = bisect_right(starts, at)
            heard_ms = before[begun]
            if begun:
                heard_ms = min(heard_ms, before[begun - 1] + (at - starts[begun - 1]) * 1000)
            assert ended_ms + ms == pytest.approx(heard_ms, abs=MARK_MS)
        assert ended_ms + marked_ms == pytest.approx(before[-1], abs=2)


@contextmanager
def talking(
    host: str, port: int, sound: dict[str, Sound], wire: Wire, robot_id: str
) -> Iterator[Talk]:
    address = brain_address(host, port, robot_id=robot_id)
    with running_app(LocalServer(address), NOTHING) as app:
        app.until("connected", lambda: app.stream.handler.core.connected)
        yield Talk(app, sound, wire)
    assert app.stream.left_over == []


@asynccontextmanager
async def a_bad_way_to(brain: BrainInside) -> AsyncIterator[Proxy]:
    """A proxy outside of the brain's namespace, on all of whose lines it is as slow."""
    with brain.network.dialled_from():
        async with Proxy(brain.port, ADDRESS, delay_s=DELAY_S) as proxy:
            yield proxy


def test_slow_stalled_and_cut(brain: BrainInside, sound: dict[str, Sound], wire: Wire) -> None:
    with (
        beside(a_bad_way_to(brain)) as way,
        talking("127.0.0.1", way.it.port, sound, wire, "cut") as talk,
    ):
        app = talk.app

        def do(what: Callable[[], None]) -> float:
            since = time.monotonic()  # taken first: what comes of it may be there at once
            way.loop.call_soon_threadsafe(what)
            return since

        def stall(seconds: float) -> None:
            do(way.it.stall)
            time.sleep(seconds)
            do(way.it.flow)

        def stall_the_question() -> None:
            time.sleep(0.5)
            stall(STALL_IN_QUESTION_S)

        def stall_the_answer() -> None:
            app.until("it speaks", lambda: app.player.queued_s() > 0)
            stall(STALL_IN_ANSWER_S)

        # slow, and standing still while the user speaks, and while the robot does
        talk.ask(ANNA, stall_the_question)
        talk.ask(NAME, stall_the_answer)
        assert talk.notices() == []
        assert way.it.connections == 1

        # cut for a moment: what is said in it is heard
        since = do(way.it.cut)
        app.until("it is gone", lambda: not app.stream.handler.core.connected)
        app.say(sound[NAME])
        do(way.it.mend)
        talk.answer_to(NAME, since)
        talk.told_of_the_way_there_and_back(since)

        # cut for long: what is said is for nobody, and what was said before is known after it
        since = do(way.it.cut)
        app.until("it is gone", lambda: not app.stream.handler.core.connected)
        app.say(sound[LEFT])
        time.sleep(CUT_S - (time.monotonic() - since))
        assert len(talk.notices(since)) == 1
        do(way.it.mend)
        app.until("back", lambda: len(talk.notices(since)) > 1)
        assert "Anna" in talk.ask(WHO)
        talk.told_of_the_way_there_and_back(since)
        assert app.shown("user", talk.since) == [ANNA, NAME, NAME, WHO]
        assert way.it.connections == 3


def test_one_packet_in_twenty_is_lost(
    brain: BrainInside,
    sound: dict[str, Sound],
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, run = brain.network, LocalStream._run
    network.lose(ONE_IN, LOSSY)

    async def inside(stream: Any) -> None:
        with network.dialled_from():
            await run(stream)

    monkeypatch.setattr(LocalStream, "_run", inside)
    with talking(LOSSY, brain.port, sound, wire, "lossy") as talk:
        talk.ask(ANNA)
        since = time.monotonic()
        talk.ask(DANCE)
        (danced,) = talk.app.used("dance", since)
        assert json.loads(danced)["status"] == "queued"
        assert "Anna" in talk.ask(WHO)
        assert talk.app.shown("user", talk.since) == [ANNA, DANCE, WHO]
        assert talk.notices() == []
    assert network.dropped(LOSSY) > 20
