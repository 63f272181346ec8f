"""What every `Synthesizer` does, on real voices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from brain.audio.pcm import Audio
from brain.engines.admission import AdmissionLimits
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneSynthesizer
from brain.engines.ports import Emotion, Synthesizer, Ticket
from brain.engines.recipes import POCKET
from brain.engines.recipes.remote import pool_of
from brain.engines.remote.pool_ports import PoolSynthesizer
from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer
from brain.engines.tts.kokoro import KokoroOptions, KokoroSynthesizer
from brain.engines.tts.openai import OpenAISynthesizer, OpenAIVoices
from brain.engines.tts.orpheus.llamacpp import SAMPLING, LlamaCppSpeech, LlamaCppTokens
from brain.engines.tts.orpheus.snac import SnacOnThread
from brain.engines.tts.orpheus.synthesizer import OrpheusOptions, OrpheusSynthesizer
from brain.engines.tts.piper import PiperSynthesizer
from brain.persona.moods import EMOTIONS
from tests.engines.conformance import odd_texts
from tests.engines.conformance.bench import Adapter, Bench, here
from tests.engines.conformance.every_engine import EveryStream, Items, taken
from tests.engines.conformance.example_engine import Chirper
from tests.engines.remote.audio_server import an_audio_server
from tests.engines.tts.orpheus.tiny_gguf import write_orpheus
from tests.engines.tts.orpheus.tiny_snac import write_snac
from tests.engines.tts.tiny_kokoro import write_kokoro


async def piper() -> Synthesizer:
    return await asyncio.to_thread(PiperSynthesizer, POCKET / "voice.onnx")


async def espeak() -> Synthesizer:
    return await EspeakSynthesizer.load(EspeakOptions())


async def behind_its_lane() -> Synthesizer:
    lane: Lane[Synthesizer] = Lane(await espeak(), LaneLimits(AdmissionLimits(inflight=8)))
    return LaneSynthesizer(lane)


@asynccontextmanager
async def orpheus() -> AsyncIterator[Callable[[], Awaitable[Synthesizer]]]:
    """A tiny one of random weights, which speaks for as long as its text is, on llama.cpp."""
    with TemporaryDirectory() as folder:
        model = write_orpheus(Path(folder) / "orpheus.gguf", orderly=True, paced=True)
        decoder = write_snac(Path(folder) / "snac.onnx")

        # Without dice a text is as long in company as alone.
        likeliest = replace(SAMPLING, temperature=0.0, repeat_penalty=1.0)

        async def load() -> Synthesizer:
            options = LlamaCppSpeech(model, sequences=4, sampling=likeliest)
            source = await LlamaCppTokens.load(options)
            return OrpheusSynthesizer(source, await SnacOnThread.load(decoder), OrpheusOptions())

        yield load


@asynccontextmanager
async def kokoro() -> AsyncIterator[Callable[[], Awaitable[Synthesizer]]]:
    """kokoro-onnx with a network of tones."""
    with TemporaryDirectory() as folder:
        options = KokoroOptions(*write_kokoro(Path(folder)))

        async def load() -> Synthesizer:
            return await asyncio.to_thread(KokoroSynthesizer, options)

        yield load


async def chirper() -> Synthesizer:
    return Chirper()


@asynccontextmanager
async def openai() -> AsyncIterator[Callable[[], Awaitable[Synthesizer]]]:
    """The pocket voice on two servers of the tests, one of which has only WAV to give."""
    with an_audio_server() as one, an_audio_server(only=frozenset({"wav"})) as other:

        async def load(options: OpenAIVoices) -> Synthesizer:
            return await OpenAISynthesizer.load(options)

        async def both() -> Synthesizer:
            servers = [OpenAIVoices(one.url), OpenAIVoices(other.url)]
            return PoolSynthesizer(await pool_of(servers, load, None, first_s=60))

        yield both


ADAPTERS: tuple[Adapter[Synthesizer], ...] = (
    Adapter("piper", "cpu", here(piper)),
    Adapter("kokoro", "cpu", kokoro),
    Adapter("espeak", "cpu", here(espeak)),
    Adapter("espeak", "cpu", here(behind_its_lane), variant="lane"),
    Adapter("openai", "remote", openai),
    # Each of its tokens is one of 156 940: a second of sound costs more than a second's computing.
    Adapter("orpheus", "cpu", orpheus, patience_s=90.0),
    Adapter("chirper", "cpu", here(chirper)),
)

SENTENCE = "Hello, I am glad that you came by today."


@pytest.fixture(scope="module", params=ADAPTERS, ids=str)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench[Synthesizer]]:
    made: Bench[Synthesizer] = Bench(request.param)
    yield made
    made.close()


def seconds(blocks: Items) -> float:
    return float(sum(block.seconds for block in blocks))


def loudest(blocks: Items) -> int:
    return max((int(np.abs(block.samples.astype(np.int32)).max()) for block in blocks), default=0)


Say = Callable[..., list[Audio]]


class TestMouths(EveryStream[Synthesizer]):
    questions = ("Yes.", "I can see you.", SENTENCE, "One, two, three, four.")

    def asked(
        self, engine: Synthesizer, question: str, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        return engine.stream(question, ticket=ticket)

    def laboured(self, engine: Synthesizer, ticket: Ticket) -> AsyncGenerator[Audio, None]:
        return engine.stream(odd_texts.LONG * 10, ticket=ticket)

    def same(self, one: Items, other: Items) -> bool:
        """As long: a voice need not say a word twice with the same samples."""
        return seconds(one) > 0 and abs(seconds(one) - seconds(other)) <= 0.03 * seconds(other)

    @pytest.fixture
    def say(self, bench: Bench[Synthesizer]) -> Say:
        def said(text: str, **how: Any) -> list[Audio]:
            return bench.run(taken(bench.engine.stream(text, ticket=Ticket("a"), **how)))

        return said

    # -- its sound ------------------------------------------------------------------------------

    def test_it_says_a_sentence_in_short_blocks(self, say: Say) -> None:
        blocks = say(SENTENCE)
        assert 0.8 < seconds(blocks) < 6.0
        (rate,) = {block.sample_rate for block in blocks}
        assert 8_000 <= rate <= 48_000
        for block in blocks:
            assert block.samples.dtype == np.int16
            assert block.samples.ndim == 1
            assert 0 < block.seconds <= 0.11
        assert 1_000 < loudest(blocks) < 32_767, "neither faint nor clipped"

    def test_a_block_is_its_taker_s(self, bench: Bench[Synthesizer]) -> None:
        """What is made later doesn't overwrite it."""

        async def main() -> None:
            blocks: list[Audio] = []
            copies = []
            async for block in bench.engine.stream(SENTENCE, ticket=Ticket("a")):
                blocks.append(block)
                copies.append(block.samples.copy())
                if len(blocks) == 1:
                    await self.answer(bench.engine)
            for block, copy in zip(blocks, copies, strict=True):
                assert np.array_equal(block.samples, copy)

        bench.run(main())

    # -- voices and moods -----------------------------------------------------------------------

    def test_its_voices_have_names_and_the_first_is_the_default(
        self, bench: Bench[Synthesizer], say: Say
    ) -> None:
        voices = bench.engine.voices
        assert voices
        assert len(set(voices)) == len(voices)
        assert all(name and name == name.strip() and name.isprintable() for name in voices)
        usual = say(SENTENCE)
        assert self.same(say(SENTENCE, voice=voices[0]), usual)
        assert say("Yes.", voice=voices[-1])

    @pytest.mark.parametrize(
        "voice", ["", "nobody", "../../etc/passwd", "\x00", "\ud800", "x" * 9999]
    )
    def test_an_unknown_voice_is_the_default_one(self, say: Say, voice: str) -> None:
        assert self.same(say("I can see you.", voice=voice), say("I can see you."))

    def test_any_mood_is_said(self, say: Say) -> None:
        text = "I can see you."
        usual = seconds(say(text))
        for name in (*EMOTIONS, "", "purple", "\ud800"):
            assert 0.5 * usual < seconds(say(text, emotion=Emotion(name))) < 2 * usual
        for intensity in (0.0, 1.0, -3.0, 40.0, float("inf"), float("-inf"), float("nan")):
            mood = Emotion("sad", intensity)
            assert 0.5 * usual < seconds(say(text, emotion=mood)) < 2 * usual

    # -- any text -------------------------------------------------------------------------------

    def test_nothing_to_say_gives_no_block(self, say: Say) -> None:
        for text in odd_texts.UNSAID:
            assert say(text) == [], ascii(text)

    def test_whatever_has_a_letter_or_a_digit_is_said(self, say: Say) -> None:
        for text in odd_texts.SAID:
            assert loudest(say(text)) > 300, ascii(text)

    def test_no_text_is_an_error(self, say: Say) -> None:
        for text in (*odd_texts.FOREIGN, odd_texts.FORGED):
            assert all(len(block.samples) for block in say(text)), ascii(text)

    @pytest.mark.parametrize("text", [odd_texts.LONG, "x" * 10_000, "1" * 10_000, "so, " * 2_500])
    def test_a_long_text_begins_and_can_be_left(self, bench: Bench[Synthesizer], text: str) -> None:
        async def main() -> None:
            ticket = Ticket("a")
            made = 0.0
            async for block in bench.engine.stream(text, ticket=ticket):
                made += block.seconds
                if made > 3.0:
                    break
            assert made > 3.0

        bench.run(main())
        assert bench.run(self.answer(bench.engine))

    def test_a_long_text_is_said_to_its_end(self, say: Say) -> None:
        once = seconds(say(SENTENCE))
        assert seconds(say(f"{SENTENCE} " * 8)) > 5 * once
