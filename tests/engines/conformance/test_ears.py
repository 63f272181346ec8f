"""What every `Transcriber` does, on real ears."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from brain.engines.ports import Cancelled, Ticket, Transcriber, Transcript
from brain.engines.recipes import whisper_options
from brain.engines.recipes.remote import pool_of
from brain.engines.remote.openai_address import OpenAIServer
from brain.engines.remote.pool_ports import PoolTranscriber
from brain.engines.stt.openai import OpenAITranscriber
from brain.engines.stt.whisper import WhisperTranscriber
from brain.settings import Settings
from tests.engines.conformance.bench import Adapter, Bench, here
from tests.engines.conformance.every_engine import EveryEngine, Items
from tests.engines.conformance.sounds import RATE, phrase
from tests.engines.remote.audio_server import EARS, an_audio_server


async def whisper() -> Transcriber:
    return await WhisperTranscriber.load(whisper_options(Settings(), "pocket"))


@asynccontextmanager
async def openai() -> AsyncIterator[Callable[[], Awaitable[Transcriber]]]:
    """The same ears on two servers of the tests, asked over HTTP."""
    with an_audio_server() as one, an_audio_server(only=frozenset({"json"})) as other:

        async def load(server: OpenAIServer) -> Transcriber:
            return await OpenAITranscriber.load(server)

        async def both() -> Transcriber:
            servers = [OpenAIServer(one.url, EARS), OpenAIServer(other.url, EARS)]
            return PoolTranscriber(await pool_of(servers, load, None, first_s=60))

        yield both


ADAPTERS: tuple[Adapter[Transcriber], ...] = (
    Adapter("whisper", "cpu", here(whisper)),
    Adapter("openai", "remote", openai),
)


@pytest.fixture(scope="module", params=ADAPTERS, ids=str)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench[Transcriber]]:
    made: Bench[Transcriber] = Bench(request.param)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def phrases() -> None:
    """Said before any loop runs."""
    for text in TestEars.questions:
        phrase(text)


def gist(transcript: Transcript) -> str:
    return re.sub(r"[^a-z' ]", "", transcript.text.lower()).strip()


class TestEars(EveryEngine[Transcriber]):
    questions = ("What is your name?", "Tell me a joke.", "Thank you.", "What does a cow say?")

    async def asked(
        self, engine: Transcriber, question: str, ticket: Ticket
    ) -> AsyncGenerator[Transcript, None]:
        yield await engine.transcribe(phrase(question), language="en", ticket=ticket)

    async def laboured(
        self, engine: Transcriber, ticket: Ticket
    ) -> AsyncGenerator[Transcript, None]:
        speech = np.tile(phrase(self.questions[0]), 19)
        yield await engine.transcribe(speech, language="en", ticket=ticket)

    def same(self, one: Items, other: Items) -> bool:
        return [gist(heard) for heard in one] == [gist(heard) for heard in other] != [""]

    def hear(
        self, bench: Bench[Transcriber], sound: Any, language: str | None = "en"
    ) -> Transcript:
        return bench.run(bench.engine.transcribe(sound, language=language, ticket=Ticket("a")))

    def test_it_hears_what_was_said(self, bench: Bench[Transcriber]) -> None:
        for text in self.questions:
            heard = self.hear(bench, phrase(text))
            assert gist(heard) == gist(Transcript(text))
            assert heard.text == heard.text.strip()
            assert re.fullmatch("[a-z]{2,3}", heard.language)
            assert math.isnan(heard.no_speech_prob) or 0 <= heard.no_speech_prob <= 1
            assert math.isnan(heard.avg_logprob) or heard.avg_logprob <= 0

    @pytest.mark.parametrize("samples", [0, 1, 100, RATE, 31 * RATE])
    def test_silence_of_any_length_is_nothing(
        self, bench: Bench[Transcriber], samples: int
    ) -> None:
        silence = np.zeros(samples, np.float32)
        faint = np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 3e-4
        for sound in (silence, faint):
            assert self.hear(bench, sound).text == ""
            assert self.hear(bench, sound, None).text == ""

    @pytest.mark.parametrize("language", [None, "en", "de", "", "EN", "klingon", "\ud800"])
    def test_any_language_may_be_asked_for(
        self, bench: Bench[Transcriber], language: str | None
    ) -> None:
        heard = self.hear(bench, phrase(self.questions[0]), language)
        assert "name" in gist(heard)
        assert re.fullmatch("[a-z]{2,3}", heard.language)
        silent = self.hear(bench, np.zeros(RATE, np.float32), language)
        assert re.fullmatch("[a-z]{2,3}", silent.language)

    def test_broken_and_loud_samples_do_no_harm(self, bench: Bench[Transcriber]) -> None:
        sound = phrase(self.questions[0])
        broken = sound.copy()
        broken[100:200], broken[300], broken[301] = np.nan, np.inf, -np.inf
        for heard in (broken, sound * 20, np.clip(sound * 8, -1, 1)):
            assert "name" in gist(self.hear(bench, heard))
        for noise in (np.full(RATE, np.nan), np.full(RATE, 3e38), np.full(RATE, 1.0)):
            assert isinstance(self.hear(bench, noise.astype(np.float32)), Transcript)
        assert "name" in gist(self.hear(bench, sound))

    def test_sound_that_is_no_contiguous_float32(self, bench: Bench[Transcriber]) -> None:
        sound = phrase(self.questions[0])
        for same in (np.repeat(sound, 2)[::2], sound.astype(np.float64), sound.astype(">f4")):
            assert "name" in gist(self.hear(bench, same))

    def test_a_long_sound_is_heard_to_its_end(self, bench: Bench[Transcriber]) -> None:
        pause = np.zeros(27 * RATE, np.float32)
        sound = np.concatenate([phrase("Tell me a joke."), pause, pause, phrase("Thank you.")])
        heard = gist(self.hear(bench, sound))
        assert heard.startswith("tell me a joke")
        assert heard.endswith("thank you")

    def test_one_that_waits_its_turn_can_be_cancelled(self, bench: Bench[Transcriber]) -> None:
        async def main() -> None:
            first = asyncio.ensure_future(self.answer(bench.engine))
            later = Ticket("b")
            second = asyncio.ensure_future(anext(self.laboured(bench.engine, later)))
            await asyncio.sleep(0)
            later.cancel.cancel()
            outcome, _ = await asyncio.gather(second, first, return_exceptions=True)
            assert isinstance(outcome, Cancelled)

        bench.run(main())
