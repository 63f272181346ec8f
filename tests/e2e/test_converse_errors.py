"""`/converse` over a real socket: what goes wrong, and what the supervisor is told of it."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from brain.engines.ports import EngineBusy, EngineFailed, EngineTimeout
from tests.e2e.sockets import tone
from tests.e2e.supervisor import HOUSE, a_supervisor, ask, names, settled, turn
from tests.scripted_engines import ScriptedMind, ScriptedMouth, ScriptedTranscriber

# -- errors ------------------------------------------------------------------------------------


def test_no_audio() -> None:
    async def main() -> None:
        async with a_supervisor() as robot:
            await robot.send(type="end_utterance")
            error, listening = await turn(robot)
            assert (error["type"], error["message"]) == ("error", "No audio received")
            assert listening == {"type": "listening"}
            await ask(robot)
            assert "transcription" in names(await turn(robot))

    asyncio.run(main())


@pytest.mark.parametrize("typed", [False, True])
def test_no_audio_while_a_turn_is_under_way(typed: bool) -> None:
    async def main() -> None:
        async with a_supervisor(ears=ScriptedTranscriber(["hello"], seconds=0.2)) as robot:
            if typed:
                await robot.send(type="text", text="hello")
            else:
                await ask(robot)
            await robot.send(type="end_utterance")  # the button bounced
            messages = await turn(robot)
            heard = [] if typed else ["transcription"]
            assert names(messages) == [
                *heard, "emotion", "assistant_text", "first_audio", "audio", "done", "listening",
            ]  # fmt: skip
            assert await settled(robot) == []

    asyncio.run(main())


@pytest.mark.parametrize("text", ["", "   ", "\0", "x" * 4_001, "\ud800", None])
def test_a_text_that_cannot_be_taken_is_a_turn_that_is_over(text: str | None) -> None:
    async def main() -> None:
        mind = ScriptedMind(["A long story. " * 20], first_seconds=0.02)
        async with a_supervisor(mind=mind) as robot:
            await robot.send(type="text", text=text)
            assert names(await turn(robot)) == ["error", "listening"]
            await robot.connection.send("{")  # starts no turn
            await robot.next("error")
            assert await settled(robot) == []
            await robot.send(type="text", text="Tell me a story.")
            await robot.next("audio")
            await robot.send(type="text", text=text)
            await robot.next("error")
            await robot.next("audio")  # the story goes on
            await robot.send(type="cancel")
            assert names(await turn(robot))[-2:] == ["done", "listening"]
            assert [message["type"] for message in robot.seen].count("listening") == 3

    asyncio.run(main())


def test_audio_without_words() -> None:
    async def main() -> None:
        async with a_supervisor(ears=ScriptedTranscriber(["", "hello"], seconds=0.02)) as robot:
            await ask(robot)
            messages = await turn(robot)
            assert names(messages) == ["error", "listening"]
            assert messages[0]["message"] == "Could not understand audio"
            await ask(robot)
            assert "transcription" in names(await turn(robot))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("engines", "message"),
    [
        ({"mind": ScriptedMind([EngineBusy("full")])}, "llm_busy"),
        ({"mind": ScriptedMind([EngineTimeout("slow")])}, "LLM timeout"),
        ({"mind": ScriptedMind([EngineFailed("broken")])}, "Internal server error"),
        ({"mind": ScriptedMind([ZeroDivisionError("a fault of ours")])}, "Internal server error"),
        ({"ears": ScriptedTranscriber([EngineFailed("broken")])}, "Internal server error"),
        ({"mouth": ScriptedMouth(failures=[EngineBusy("full")])}, "tts_busy_no_fallback"),
        ({"mouth": ScriptedMouth(failures=[EngineFailed("broken")])}, "tts_unavailable"),
    ],
)
def test_an_engine_that_fails(engines: dict[str, Any], message: str) -> None:
    async def main() -> None:
        async with a_supervisor(**engines) as robot:
            await ask(robot)
            messages = await turn(robot)
            errors = [told for told in messages if told["type"] == "error"]
            assert [(error["message"], error["turn_id"]) for error in errors] == [(message, 1)]
            assert names(messages)[-2:] == ["done", "listening"]
            assert messages[-2]["reason"] == "failed"
            # Where there is a voice, it says sorry, and the face doesn't move after it.
            sounds = [i for i, told in enumerate(messages) if told["type"] == "audio"]
            moods = [i for i, told in enumerate(messages) if told["type"] == "emotion"]
            assert bool(sounds) == ("mouth" not in engines)
            assert not sounds or moods[0] < sounds[0]
            assert await settled(robot) == []

    asyncio.run(main())


def test_more_sound_than_an_utterance_may_have() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"], seconds=0.02)
        house = replace(HOUSE, max_utterance_s=2)
        async with a_supervisor(ears=ears, house=house) as robot:
            await robot.speak(tone(3_000))
            await robot.send(type="end_utterance")
            messages = await turn(robot)
            assert messages[0]["message"] == "audio_buffer_overflow"
            assert messages[-2]["reason"] == "completed"
            assert ears.heard == [2 * 16_000]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "bad_json"),
        ("[]", "bad_json"),
        ('{"type": 7}', "bad_json"),
        ('{"type": "audio"}', "bad_audio"),
        ('{"type": "audio", "data": "%%%"}', "bad_audio"),
        (json.dumps({"type": "audio", "data": b64encode(b"abc").decode()}), "bad_audio"),
        (b"abc", "bad_audio"),
        (json.dumps({"type": "profile", "profile": "x" * 5_000}), "bad_json"),
        ('{"type": "profile", "profile": ' + "[" * 300 + "]" * 300 + "}", "bad_json"),
    ],
)
def test_a_bad_message_is_told_and_the_session_goes_on(frame: str | bytes, code: str) -> None:
    async def main() -> None:
        async with a_supervisor() as robot:
            await robot.connection.send(frame)
            error = await robot.next("error")
            assert error["code"] == code
            assert error["message"]
            assert "turn_id" not in error
            await ask(robot)
            assert (await turn(robot))[-2]["reason"] == "completed"

    asyncio.run(main())


def test_what_is_unknown_is_ignored() -> None:
    async def main() -> None:
        async with a_supervisor() as robot:
            await robot.send(type="cancle")
            await robot.send(type="memory_tags", tags=[1])
            await robot.send(type="session", tools=[])
            assert await settled(robot) == []

    asyncio.run(main())
