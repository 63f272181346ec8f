"""Ears and mouth at servers that differ in what they take, and that fail. The sound is real."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from brain.engines.ports import (
    Emotion,
    EngineFailed,
    EngineUnavailable,
    Ticket,
    Transcript,
)
from brain.engines.remote.openai_address import OpenAIServer
from brain.engines.stt import openai as ears_module
from brain.engines.stt.openai import OpenAITranscriber
from brain.engines.tts.openai import OpenAISynthesizer, OpenAIVoices
from tests.engines.conformance.sounds import phrase
from tests.engines.llm.openai_scripted_server import Answer, a_server
from tests.engines.remote.audio_server import EARS, VOICE, AudioServer, an_audio_server

NAME = "What is your name?"


@pytest.fixture(scope="module", autouse=True)
def said() -> None:
    """Said before any loop runs."""
    phrase(NAME)


def ears(main: Callable[[OpenAITranscriber], Awaitable[Any]], server: AudioServer) -> Any:
    async def whole() -> Any:
        made = await OpenAITranscriber.load(OpenAIServer(server.url, EARS, server.key))
        try:
            return await main(made)
        finally:
            await made.close()

    return asyncio.run(asyncio.wait_for(whole(), 30))


def mouth(main: Callable[[OpenAISynthesizer], Awaitable[Any]], server: AudioServer) -> Any:
    async def whole() -> Any:
        options = OpenAIVoices(server.url, "", server.key, ("ann", "bob"))
        made = await OpenAISynthesizer.load(options)
        try:
            return await main(made)
        finally:
            await made.close()

    return asyncio.run(asyncio.wait_for(whole(), 30))


async def hear(made: OpenAITranscriber, language: str | None = "en") -> Transcript:
    return await made.transcribe(phrase(NAME), language=language, ticket=Ticket("a"))


async def say(made: OpenAISynthesizer, text: str = "Yes.", **how: Any) -> float:
    blocks = [block async for block in made.stream(text, ticket=Ticket("a"), **how)]
    return float(sum(block.seconds for block in blocks))


def test_servers_without_their_doubts_are_asked_for_the_text_alone_and_that_is_kept() -> None:
    async def main(made: OpenAITranscriber) -> None:
        for _ in range(2):
            heard = await hear(made)
            assert "name" in heard.text
            assert np.isnan(heard.avg_logprob)

    with an_audio_server(only=frozenset({"json"})) as server:
        ears(main, server)
    forms = [asked["response_format"] for asked in server.asked]
    assert forms == ["verbose_json", "json", "json"]
    assert all(asked["model"] == EARS and asked["language"] == "en" for asked in server.asked)


def test_the_server_s_doubts_are_told_and_heeded() -> None:
    async def main(made: OpenAITranscriber) -> None:
        heard = await hear(made)
        assert -1 < heard.avg_logprob < 0
        assert heard.no_speech_prob >= 0

        def doubtful(text: str, silent: float, unsure: float) -> dict[str, Any]:
            return {"text": text, "no_speech_prob": silent, "avg_logprob": unsure}

        one = [doubtful(" Thank you.", 0.95, -1.2), doubtful(" My name.", 0.0, -0.1)]
        answer = {"text": "x", "segments": one}
        believed = [t for t, d in ears_module._read(answer)]
        assert believed == [" Thank you.", " My name."]

        async def said(*_: Any) -> dict[str, Any]:
            return answer

        made._answer = said  # type: ignore[method-assign]
        gated = await hear(made)
        assert (gated.text, gated.no_speech_prob, gated.avg_logprob) == ("My name.", 0.95, -1.2)
        assert made.gated == 1

    with an_audio_server() as server:
        ears(main, server)


def test_a_key_is_shown_and_a_wrong_one_told_with_the_setting_s_name() -> None:
    with an_audio_server(key="sesam") as server:
        assert "name" in ears(hear, server).text
        server.key = "another"
        wrong = AudioServer(url=server.url, key="sesam")
        with pytest.raises(EngineUnavailable, match="OPENAI_API_KEY") as raised:
            ears(hear, wrong)
        assert "sesam" not in str(raised.value)


@pytest.mark.parametrize(
    "body", [[], {}, {"text": 3}, "hello", {"text": None, "segments": [{"text": "x"}]}]
)
def test_what_is_no_transcript_is_told(body: Any) -> None:
    async def main() -> None:
        async with a_server() as server:
            made = await OpenAITranscriber.load(OpenAIServer(server.url))
            server._answer = lambda *_: Answer(body=body)  # type: ignore[method-assign]
            with pytest.raises(EngineFailed, match="no transcript"):
                await hear(made)
            await made.close()

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("only", ["pcm", "wav"])
def test_sound_comes_in_the_form_that_the_server_has(only: str) -> None:
    async def main(made: OpenAISynthesizer) -> None:
        lengths = [await say(made) for _ in range(2)]
        assert lengths[0] == pytest.approx(lengths[1], abs=0.03)
        assert 0.2 < lengths[0] < 2

    with an_audio_server(only=frozenset({only})) as server:
        mouth(main, server)
    forms = [asked["response_format"] for asked in server.asked]
    assert forms == (["pcm", "pcm"] if only == "pcm" else ["pcm", "wav", "wav"])
    assert server.asked[-1]["model"] == VOICE, "the first of its list"


def test_a_mood_is_told_by_the_pace_where_the_server_has_one() -> None:
    async def main(made: OpenAISynthesizer) -> tuple[float, float]:
        return await say(made), await say(made, emotion=Emotion("sad", 1.0))

    with an_audio_server() as server:
        usual, sad = mouth(main, server)
        assert sad > 1.05 * usual
        assert "speed" not in server.asked[0]
        assert server.asked[1]["speed"] == 0.82
    with an_audio_server(speeds=False) as server:
        usual, sad = mouth(main, server)
        assert sad == pytest.approx(usual, abs=0.03)
        assert ["speed" in asked for asked in server.asked] == [False, True, False]


def test_voices_are_those_of_the_settings() -> None:
    async def main(made: OpenAISynthesizer) -> None:
        assert made.voices == ("ann", "bob")
        for voice in (None, "bob", "nobody"):
            await say(made, voice=voice)

    with an_audio_server() as server:
        mouth(main, server)
    assert [asked["voice"] for asked in server.asked] == ["ann", "bob", "ann"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(body={"oh": "no"}), "application/json"),
        (Answer(status=500, body={"error": {"message": "CUDA error"}}), "CUDA error"),
    ],
)
def test_what_is_no_sound_is_told(answer: Answer, words: str) -> None:
    async def main() -> None:
        async with a_server() as server:
            made = await OpenAISynthesizer.load(OpenAIVoices(server.url))
            server._answer = lambda *_: answer  # type: ignore[method-assign]
            with pytest.raises(EngineFailed, match=words) as raised:
                await say(made, "My secret.")
            assert "secret" not in str(raised.value)
            await made.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_cancel_ends_the_server_s_work() -> None:
    async def main(made: OpenAITranscriber) -> None:
        long = np.tile(phrase(NAME), 100)
        ticket = Ticket("a")
        asked = asyncio.ensure_future(made.transcribe(long, language="en", ticket=ticket))
        while not server.asked:  # noqa: ASYNC110 - on another thread
            await asyncio.sleep(0.01)
        ticket.cancel.cancel()
        with pytest.raises(Exception, match="cancelled"):
            await asked
        while not server.broken_off:  # noqa: ASYNC110 - on another thread
            await asyncio.sleep(0.01)

    with an_audio_server() as server:
        ears(main, server)
