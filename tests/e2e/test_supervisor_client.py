"""The supervisor's client and the real brain: pocket models, real sockets, and a short soak."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from brain.audio.pcm import to_bytes
from robot_client.cli import main as robot_client
from robot_client.converse import Converse
from robot_client.converse_messages import (
    AssistantText,
    Done,
    Listening,
    Message,
    Mood,
    Speech,
    Transcription,
)
from robot_client.link import Disconnected, Stopped
from robot_client.memory import Memory
from robot_client.plans import Gesture, Skill, WorldState
from robot_client.simulation import Options, simulate
from robot_client.supervisor import SupervisorClient
from robot_client.supervisor_errors import Refused
from tests.e2e.pocket import Brain, a_pocket_brain, spoken

PATIENCE_S = 30
BALL = WorldState(
    seq=42, monotonic_ts_ms=123_456_789, mode="WANDER", battery_mv=7_800, range_mm=900,
    clear_confidence=0.92, ball_detected=True, ball_bearing_deg=15.2, trigger="ball_seen",
)  # fmt: skip


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    with a_pocket_brain(tmp_path_factory.mktemp("brain")) as running:
        running.until_ready()
        yield running
        assert running.process.poll() is None, "the brain died under the tests"


def url(brain: Brain) -> str:
    return f"http://127.0.0.1:{brain.port}"


async def turn(events: AsyncIterator[Message]) -> list[Message]:
    """The events of one turn, up to the brain's listening again."""
    seen: list[Message] = []
    while not (seen and isinstance(seen[-1], Listening)):
        seen.append(await asyncio.wait_for(anext(events), PATIENCE_S))
    return seen


async def messages(talk: Converse) -> AsyncIterator[Message]:
    async for heard in talk.events():
        assert not isinstance(heard.event, (Disconnected, Stopped)), heard
        yield heard.event


def test_plan_tts_and_health(brain: Brain) -> None:
    async def main() -> None:
        async with SupervisorClient(url(brain), "client", plan_limit_s=PATIENCE_S) as client:
            health = await client.health()
            assert health.ok
            assert health.report["llm_backend"] == "llamacpp"
            plan = await client.plan(BALL)
            assert Gesture("look_at", {"bearing": 15.2}) in plan.actions
            assert Skill("investigate_ball") in plan.actions
            sound = b"".join([block async for block in client.tts("Hello robot.", "happy")])
            samples = np.frombuffer(sound, "<i2")
            assert 16_000 * 0.4 < len(samples) < 16_000 * 3
            assert np.abs(samples).max() > 1_000
        async with SupervisorClient(url(brain), "x" * 65) as client:
            with pytest.raises(Refused) as refused:
                await client.plan(BALL)
            assert refused.value.field == "robot_id"
            with pytest.raises(Refused):
                await anext(client.tts("  "))

    asyncio.run(main())


def test_a_conversation_spoken_and_typed(brain: Brain) -> None:
    async def main() -> None:
        client = SupervisorClient(url(brain), "talker")
        async with client, client.converse(vad=False) as talk:
            events = messages(talk)
            assert await turn(events) == [Listening()]
            # An utterance that was recorded before: all of it at once.
            assert talk.send_audio(to_bytes(spoken("What is your name?")))
            assert talk.end_utterance()
            first = await turn(events)
            assert talk.text("What is your name?")
            second = await turn(events)
        (heard,) = [event for event in first if isinstance(event, Transcription)]
        assert "name" in heard.text.lower()
        for seen in (first, second):
            kinds = [type(event) for event in seen]
            assert kinds.index(Mood) < kinds.index(Speech) < kinds.index(Done)
            words = " ".join(event.text for event in seen if isinstance(event, AssistantText))
            assert "robo" in words.lower()
            chunks = [event for event in seen if isinstance(event, Speech)]
            assert [chunk.chunk_index for chunk in chunks] == list(range(len(chunks)))
            assert {chunk.sample_rate for chunk in chunks} == {16_000}
            assert sum(len(chunk.pcm) for chunk in chunks) > 16_000

    asyncio.run(main())


def test_a_newer_session_ends_the_older_one_for_good(brain: Brain) -> None:
    async def main() -> None:
        client = SupervisorClient(url(brain), "twice")
        async with client, client.converse() as older:
            events = older.events()
            assert (await anext(events)).event == Listening()
            async with client.converse() as newer:
                assert (await anext(newer.events())).event == Listening()
                stopped = (await asyncio.wait_for(anext(events), PATIENCE_S)).event
                assert isinstance(stopped, Stopped)
                assert "replaced_by_newer_session" in stopped.reason

    asyncio.run(main())


@pytest.mark.timeout(300)
def test_a_short_soak(brain: Brain) -> None:
    """200 plans for robots' lives: all within the contract, no line twice, memory as before."""
    memory = Memory(brain.process.pid)
    tally = asyncio.run(simulate(Options(url(brain), plans=200, seed=7), memory=memory))
    assert tally.good, tally.as_json()
    assert not tally.failed
    assert not tally.busy
    assert tally.repeats == 0
    assert {kind for kind, _ in tally.offered} == {"say", "emote", "gesture", "skill"}
    assert memory.growth_mb() < 16


def test_the_command_and_a_busy_brain(brain: Brain, capsys: pytest.CaptureFixture[str]) -> None:
    port, pid = str(brain.port), str(brain.process.pid)
    status = robot_client(
        ["simulate", "--local-server-port", port, "--plans", "12", "--robots", "3", "--json",
         "--seed", "99", "--pid", pid]
    )  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert status == 0, report
    assert report["answered"] + report["busy"] == report["asked"] == 12
    assert report["invalid"] == {}
    assert report["memory"]["peak_mb"] > 50
