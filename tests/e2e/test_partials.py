"""Hearing while the user speaks, by the whole product: real engines, over a real socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.e2e.sockets import a_robot


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    folder = tmp_path_factory.mktemp("brain")
    with a_pocket_brain(folder, environ={"STT_PARTIALS": "1"}) as running:
        running.until_ready()
        yield running
        assert running.process.poll() is None, "the brain died under the tests"


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_what_is_said_is_told_while_it_is_being_said(brain: Brain) -> None:
    sentence = "What is your name?"

    async def main() -> None:
        async with a_robot(brain.address, "?robot_id=partials") as robot:
            await robot.speak(spoken(sentence), paced=True)
            done = await robot.next("reply_done", seconds=30)
            assert done["reason"] == "completed"
            kinds = [message["type"] for message in robot.seen]
            opened, closed = kinds.index("speech_started"), kinds.index("speech_stopped")
            told = [i for i, kind in enumerate(kinds) if kind == "transcript_user_partial"]
            assert told
            assert all(opened < i < closed for i in told)
            assert all(robot.seen[i]["turn"] == robot.seen[opened]["turn"] for i in told)
            (heard,) = [m["text"] for m in robot.seen if m["type"] == "transcript_user"]
            assert words(heard) == words(sentence)
            assert words(robot.seen[told[-1]]["text"]) == words(heard)

    asyncio.run(main())
    _, health = brain.get("/health")
    told = health["partials"]
    assert told["begun"] >= told["heard"] >= 1
    assert told["busy_ms"] > 0
    # In any 10 s no more than half, and one that was under way.
    assert 0 < told["most_of_10_s"] < 0.6
