"""What the settings of engines elsewhere do, at servers with real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from brain.engines.ladder import Rung
from brain.engines.ports import Message, Text, Ticket
from brain.engines.recipes import language_model_rungs, synthesizer_rungs, transcriber_rungs
from brain.settings import Settings
from brain.settings.layers import Assignment
from brain.settings.load import SettingsError, load
from brain.settings.values import listed
from tests.engines.conformance.sounds import phrase
from tests.engines.llm.openai_scripted_server import a_server, says
from tests.engines.remote.audio_server import EARS, VOICE, AudioServer, an_audio_server

NAME = "What is your name?"
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture(scope="module")
def server() -> Iterator[AudioServer]:
    phrase(NAME)
    with an_audio_server() as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_asked(server: AudioServer) -> None:
    server.asked.clear()


def used(rung: Rung[Any], use: Callable[[Any], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        engine = await rung.build(lambda _: None)
        try:
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(asyncio.wait_for(main(), 60))


async def hear(engine: Any) -> str:
    heard = await engine.transcribe(phrase(NAME), language="en", ticket=Ticket("r"))
    return str(heard.text)


async def say(engine: Any) -> int:
    return sum([len(b.samples) async for b in engine.stream("Yes.", ticket=Ticket("r"))])


@pytest.mark.setting("OPENAI_URL", "LLM_MAX_INFLIGHT")
def test_several_minds_share_the_calls() -> None:
    async def answer(mind: Any, robot: str) -> str:
        items = mind.stream([Message("user", "Hello.")], ticket=Ticket(robot))
        return "".join([item.text async for item in items if isinstance(item, Text)])

    async def main() -> None:
        async with a_server(says("one")) as one, a_server(says("two")) as two:
            urls = f"{one.url} , {two.url},{one.url}"
            settings = Settings(llm_backend="openai", openai_url=urls, llm_max_inflight=4)
            mind: Any = await language_model_rungs(settings)[0].build(lambda _: None)
            said = await asyncio.gather(*(answer(mind, str(robot)) for robot in range(4)))
            assert sorted(said) == ["one", "one", "two", "two"]
            places = [endpoint.place for endpoint in mind.lane.engine.pool.endpoints]
            assert places == [f"OPENAI_URL={one.url}", f"OPENAI_URL={two.url}"]
            await mind.close()

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.setting("OPENAI_URL", "STT_OPENAI_URL", "TTS_OPENAI_URL")
@pytest.mark.parametrize("value", ["here", ",", "http://a/v1;x,ftp://b", "http://a http://b"])
@pytest.mark.parametrize("name", ["OPENAI_URL", "STT_OPENAI_URL", "TTS_OPENAI_URL"])
def test_what_is_no_list_of_addresses_is_told(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}=.*commas between"):
        load([Assignment(name, value, "--set")], environ={}, lenient=False)


@pytest.mark.setting("OPENAI_URL", "STT_OPENAI_URL", "TTS_OPENAI_URL")
@pytest.mark.parametrize("name", ["OPENAI_URL", "STT_OPENAI_URL", "TTS_OPENAI_URL"])
def test_a_comma_too_many_in_a_list_of_addresses_costs_nothing(name: str) -> None:
    value = " ,http://a:1/v1,, http://b/v1 ,http://a:1/v1, "
    settings = load([Assignment(name, value, "--set")], environ={}, lenient=False)
    assert listed(getattr(settings, name.lower())) == ("http://a:1/v1", "http://b/v1")


@pytest.mark.setting("STT_BACKEND", "STT_OPENAI_URL", "STT_OPENAI_MODEL")
def test_ears_elsewhere(server: AudioServer) -> None:
    settings = Settings(
        stt_backend="openai", openai_url=NOBODY, stt_openai_url=server.url, stt_openai_model=EARS
    )
    rungs = transcriber_rungs(settings)
    assert [rung.name for rung in rungs] == ["openai", "whisper"]
    assert "name" in used(rungs[0], hear)
    assert {asked["model"] for asked in server.asked} == {EARS}


@pytest.mark.setting("TTS_BACKEND", "TTS_OPENAI_URL", "TTS_OPENAI_MODEL", "TTS_OPENAI_VOICE")
def test_a_mouth_elsewhere(server: AudioServer) -> None:
    settings = Settings(
        tts_backend="openai", openai_url=NOBODY, tts_openai_url=server.url,
        tts_openai_model=VOICE, tts_openai_voice="ann, bob",
    )  # fmt: skip
    rungs = synthesizer_rungs(settings)
    assert [rung.name for rung in rungs] == ["openai", "piper", "espeak"]
    assert used(rungs[0], say) > 4_000
    assert {(asked["model"], asked["voice"]) for asked in server.asked} == {(VOICE, "ann")}


@pytest.mark.setting("OPENAI_URL", "STT_OPENAI_MODEL", "TTS_OPENAI_MODEL")
def test_without_an_address_of_their_own_it_is_the_mind_s(server: AudioServer) -> None:
    settings = Settings(stt_backend="openai", tts_backend="openai", openai_url=server.url)
    assert "name" in used(transcriber_rungs(settings)[0], hear)
    assert used(synthesizer_rungs(settings)[0], say)
    assert {asked["model"] for asked in server.asked} == {VOICE}, "the first of its list"
    silent = Settings(stt_backend="openai", tts_backend="openai", openai_url=NOBODY)
    for rung in (transcriber_rungs(silent)[0], synthesizer_rungs(silent)[0]):
        with pytest.raises(Exception, match=f"^OPENAI_URL={NOBODY} can't be reached"):
            used(rung, hear)


@pytest.mark.setting("STT_OPENAI_MAX_INFLIGHT", "TTS_OPENAI_MAX_INFLIGHT")
@pytest.mark.parametrize("count", [1, 3])
def test_so_many_at_once(server: AudioServer, count: int) -> None:
    settings = Settings(
        stt_backend="openai", tts_backend="openai", openai_url=server.url,
        stt_openai_max_inflight=count, tts_openai_max_inflight=count,
    )  # fmt: skip
    noise = np.random.default_rng(0).standard_normal(160_000).astype(np.float32) * 0.1

    async def most(engine: Any, calls: list[Awaitable[Any]]) -> int:
        together = asyncio.gather(*calls)
        found = 0
        while not together.done():
            found = max(found, engine.lane.inflight)
            await asyncio.sleep(0.001)
        await together
        return found

    async def hearing(engine: Any) -> int:
        ticket = Ticket("r")
        return await most(
            engine,
            [engine.transcribe(noise, language="en", ticket=ticket) for _ in range(5)],
        )

    async def saying(engine: Any) -> int:
        return await most(engine, [say(engine) for _ in range(5)])

    assert used(transcriber_rungs(settings)[0], hearing) == count
    assert used(synthesizer_rungs(settings)[0], saying) == count
