"""`/converse` over a real socket: the supervisor's contract, turn by turn."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64decode, b64encode
from collections.abc import Iterator

import numpy as np
import pytest

from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.e2e.sockets import a_robot, tone
from tests.e2e.supervisor import a_supervisor, ask, converse, names, settled, turn
from tests.scripted_engines import Hang, ScriptedMind, ScriptedTranscriber

# -- a turn ------------------------------------------------------------------------------------


def test_a_spoken_turn() -> None:
    async def main() -> None:
        mind = ScriptedMind(["[happy 0.8] [nod] Hello there. How are you?"], first_seconds=0.02)
        async with a_supervisor(mind=mind) as robot:
            await ask(robot)
            messages = await turn(robot)
            assert names(messages) == [
                "transcription", "emotion", "gestures", "assistant_text", "first_audio", "audio",
                "assistant_text", "audio", "done", "listening",
            ]  # fmt: skip
            by_type = {message["type"]: message for message in messages}
            assert by_type["transcription"]["text"] == "hello robot"
            assert by_type["emotion"]["emotion"] == "happy"
            assert by_type["emotion"]["intensity"] == 0.8
            assert by_type["gestures"]["names"] == ["nod"]
            assert by_type["first_audio"]["first_audio_ms"] > 0
            assert by_type["done"]["reason"] == "completed"
            sounds = [message for message in messages if message["type"] == "audio"]
            assert [sound["chunk_index"] for sound in sounds] == list(range(len(sounds)))
            assert {sound["sample_rate"] for sound in sounds} == {16_000}
            assert all(0 < len(b64decode(sound["data"])) < 4_800 for sound in sounds)
            texts = [m["text"] for m in messages if m["type"] == "assistant_text"]
            assert texts == ["Hello there.", "How are you?"]
            assert {m["turn_id"] for m in messages if m["type"] != "listening"} == {1}
            assert await settled(robot) == []
            asked, tools = mind.asked[0]
            assert tools == ()  # the supervisor has no tools
            assert asked[0].content.startswith("You are Robo. Start each reply with your mood")

    asyncio.run(main())


def test_a_typed_turn_and_one_after_it() -> None:
    async def main() -> None:
        async with a_supervisor() as robot:
            for number in (1, 2):
                await robot.send(type="text", text="hello")
                messages = await turn(robot)
                assert names(messages) == [
                    "emotion", "assistant_text", "first_audio", "audio", "done", "listening",
                ]  # fmt: skip
                assert messages[0]["emotion"] == "neutral"
                assert messages[0]["turn_id"] == number

    asyncio.run(main())


def test_sound_may_come_in_one_piece_or_as_raw_frames() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"], seconds=0.02)
        async with a_supervisor(ears=ears) as robot:
            data = b64encode(tone(3_000).astype("<i2").tobytes()).decode()
            await robot.send(type="audio", data=data)
            await robot.send(type="audio", data="")
            await robot.connection.send(tone(1_000).astype("<i2").tobytes())
            await robot.send(type="end_utterance")
            await turn(robot)
            assert ears.heard[0] == pytest.approx(4 * 16_000, abs=512)

    asyncio.run(main())


def test_pushing_to_talk_ends_the_reply_under_way() -> None:
    async def main() -> None:
        mind = ScriptedMind(["A long story. " * 20, "Yes?"], first_seconds=0.02)
        async with a_supervisor(mind=mind) as robot:
            await ask(robot)
            await robot.next("audio")
            await ask(robot)
            messages = await turn(robot)
            dones = [message for message in messages if message["type"] == "done"]
            assert [(done["turn_id"], done["reason"]) for done in dones] == [
                (1, "interrupted"),
                (2, "completed"),
            ]
            assert names(messages).count("listening") == 1

    asyncio.run(main())


def test_what_was_said_is_not_told_within_the_reply_to_what_was_typed_after_it() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["old words"], seconds=0.2)
        async with a_supervisor(ears=ears, mind=ScriptedMind(["A story. " * 5])) as robot:
            await ask(robot)
            await robot.send(type="text", text="Hi")
            messages = await turn(robot)
            assert "transcription" not in names(messages)
            assert {m["turn_id"] for m in messages if m["type"] != "listening"} == {2}
            assert await settled(robot) == []

    asyncio.run(main())


# -- cancel ------------------------------------------------------------------------------------


def test_cancel_stops_a_reply() -> None:
    async def main() -> None:
        mind = ScriptedMind(["[happy] A long story. " * 20, "Fine."], first_seconds=0.02)
        async with a_supervisor(mind=mind) as robot:
            await ask(robot)
            await robot.next("audio")
            await robot.send(type="cancel")
            messages = await turn(robot)
            assert names(messages)[-2:] == ["done", "listening"]
            assert messages[-2]["reason"] == "cancelled"
            assert await settled(robot) == []
            await ask(robot)
            assert (await turn(robot))[-2]["reason"] == "completed"

    asyncio.run(main())


@pytest.mark.parametrize("thinking", [True, False])
def test_cancel_before_there_is_anything_to_hear(thinking: bool) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"], seconds=0.02 if thinking else 0.3)
        mind = ScriptedMind([[Hang()] if thinking else "Hello.", "Hello."], first_seconds=0.02)
        async with a_supervisor(ears=ears, mind=mind) as robot:
            await ask(robot)
            if thinking:
                await robot.next("transcription")
            await robot.send(type="cancel")
            messages = await turn(robot)
            assert names(messages) == (["done", "listening"] if thinking else ["listening"])
            await ask(robot)
            # What was being heard when it was cancelled isn't told any more.
            told = await turn(robot)
            assert [m["turn_id"] for m in told if m["type"] == "transcription"] == [2]
            assert told[-2]["reason"] == "completed"

    asyncio.run(main())


def test_cancel_forgets_what_was_half_said() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"], seconds=0.02)
        async with a_supervisor(ears=ears) as robot:
            await robot.speak(tone(900))
            await robot.send(type="cancel")
            assert await turn(robot) == [{"type": "listening"}]
            await ask(robot, tone(320))
            await turn(robot)
            assert ears.heard == [pytest.approx(320 * 16, abs=512)]

    asyncio.run(main())


# -- the whole product -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    with a_pocket_brain(tmp_path_factory.mktemp("converse")) as running:
        running.until_ready()
        yield running
        assert running.process.poll() is None, "the brain died under the tests"


@pytest.mark.parametrize("vad", [0, 1])
def test_a_spoken_question_to_the_pocket_brain(brain: Brain, vad: int) -> None:
    async def main() -> None:
        query = f"?robot_id=supervisor-{vad}&session_seq=1&vad={vad}"
        async with a_robot(converse(brain.address), query) as robot:
            await robot.next("listening")
            await robot.speak(spoken("What is your name?"), paced=bool(vad))
            if not vad:
                await robot.send(type="end_utterance")
            messages = await turn(robot, seconds=60)
            first = {kind: names(messages).index(kind) for kind in names(messages)}
            assert first["transcription"] == 0
            assert first["emotion"] < first["audio"]
            assert names(messages)[-2:] == ["done", "listening"]
            by_type = {message["type"]: message for message in messages}
            assert "your name" in by_type["transcription"]["text"].lower()
            assert by_type["emotion"]["emotion"] == "happy"
            said = " ".join(m["text"] for m in messages if m["type"] == "assistant_text")
            assert "robo" in said.lower()
            assert "[" not in said
            sounds = b"".join(b64decode(m["data"]) for m in messages if m["type"] == "audio")
            sound = np.frombuffer(sounds, "<i2")
            assert len(sound) > 8_000
            assert np.abs(sound).max() > 1_000
            assert by_type["done"]["reason"] == "completed"

    asyncio.run(main())


def test_health_tells_who_is_connected(brain: Brain) -> None:
    async def main() -> None:
        query = "?robot_id=counted&session_seq=7&session_monotonic_ts_ms=1234"
        async with a_robot(converse(brain.address), query) as robot:
            await robot.next("listening")
            _, health = await asyncio.to_thread(brain.get, "/health")
            sessions = health["converse_sessions"]
            assert sessions["active_sessions"] == 1
            assert sessions["registered"] - sessions["unregistered"] == 1
            assert sessions["preempted"] == 0
            assert sessions["robots"] == {
                "counted": {"session_seq": 7, "session_monotonic_ts_ms": 1234}
            }

    asyncio.run(main())


def test_those_that_a_newer_one_replaced_are_counted_and_those_that_left_are_not(
    brain: Brain,
) -> None:
    def preempted() -> int:
        return int(brain.get("/health")[1]["converse_sessions"]["preempted"])

    async def main() -> None:
        before = await asyncio.to_thread(preempted)
        one = (converse(brain.address), "?robot_id=many")
        for _ in range(10):
            async with a_robot(*one) as robot:
                await robot.next("listening")
        assert await asyncio.to_thread(preempted) == before
        async with contextlib.AsyncExitStack() as stack:
            enter = stack.enter_async_context
            robots = await asyncio.gather(*(enter(a_robot(*one)) for _ in range(8)))
            ends = [asyncio.ensure_future(robot.close_code()) for robot in robots]
            while sum(end.done() for end in ends) < 7:
                await asyncio.wait(
                    [end for end in ends if not end.done()], return_when=asyncio.FIRST_COMPLETED
                )
            assert {end.result() for end in ends if end.done()} == {4001}
            assert await asyncio.to_thread(preempted) == before + 7
        assert [await end for end in ends].count(4001) == 7

    asyncio.run(main())
