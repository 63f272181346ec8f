"""The Piper adapter on the pocket voice: a real network makes every sound here."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from piper import PiperVoice

from brain.audio.pcm import Audio
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    Emotion,
    EngineUnavailable,
    Synthesizer,
    Ticket,
)
from brain.engines.tts.blocks import faded
from brain.engines.tts.piper import PiperSynthesizer, shorter
from brain.engines.tts.speakable import pieces, readable

VOICE = Path(__file__).parents[3] / "brain" / "pocket" / "voice.onnx"
SENTENCE = "Hello, I am glad that you came by today."


class Mouth:
    """The adapter on an event loop that lives as long as the module's tests."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.synthesizer = PiperSynthesizer(VOICE, name="pocket")

    def say(self, text: str, **how: str) -> list[Audio]:
        async def collect() -> list[Audio]:
            ticket = Ticket("tester")
            return [b async for b in self.synthesizer.stream(text, ticket=ticket, **how)]

        return self.loop.run_until_complete(collect())

    def close(self) -> None:
        self.loop.run_until_complete(self.synthesizer.close())
        self.loop.close()


@pytest.fixture(scope="module")
def mouth() -> Iterator[Mouth]:
    made = Mouth()
    yield made
    made.close()


def joined(blocks: list[Audio]) -> NDArray[np.int16]:
    return np.concatenate([b.samples for b in blocks]) if blocks else np.zeros(0, np.int16)


def rms(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64) / 32768.0))))


def test_is_a_synthesizer(mouth: Mouth) -> None:
    port: Synthesizer = mouth.synthesizer
    assert port.voices == ("pocket",)
    assert (port.info.name, port.info.model) == ("piper", "pocket")


def test_says_a_sentence_in_short_blocks(mouth: Mouth) -> None:
    mouth.say("Warm up.")
    began = time.perf_counter()
    blocks = mouth.say(SENTENCE)
    took = time.perf_counter() - began
    sound = joined(blocks)
    seconds = sum(b.seconds for b in blocks)
    print(f"\nreal-time factor {took / seconds:.3f} ({seconds:.2f} s of sound)")
    assert {b.sample_rate for b in blocks} == {22_050}
    assert all(0 < len(b.samples) <= 2_205 and b.samples.dtype == np.int16 for b in blocks)
    assert 1.5 < seconds < 4.0
    assert 0.02 < rms(sound) < 0.4
    assert np.abs(sound.astype(np.int32)).max() < 32_767, "it clips"


def test_the_same_text_is_the_same_sound_and_another_is_not(mouth: Mouth) -> None:
    first, again, other = (joined(mouth.say(t)) for t in ("Yes.", "Yes.", "No."))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[: len(other)], other[: len(first)])


def test_speech_has_a_voice_of_human_pitch(mouth: Mouth) -> None:
    sound = joined(mouth.say("Oh.")).astype(np.float64)
    likeness = 0.0
    for start in range(0, len(sound) - 1_024, 256):
        frame = sound[start : start + 1_024]
        for lag in range(22_050 // 300, 22_050 // 60):
            late, early = frame[lag:], frame[:-lag]
            likeness = max(likeness, float(late @ early) / (1e6 + float(late @ late)))
    assert likeness > 0.6


def test_clauses_join_without_a_click(mouth: Mouth) -> None:
    for text in (SENTENCE, "Stop!", "One, two, three.", "Hmm.", "Привет."):
        sound = joined(mouth.say(text)).astype(np.float64) / 32768.0
        assert sound[0] == 0.0
        assert sound[-1] == 0.0
        assert np.abs(sound[:16]).max() < 0.01
        assert np.abs(sound[-64:]).max() < 0.01
        assert abs(sound.mean()) < 1e-3


@pytest.mark.parametrize(
    "text",
    [
        "someone@example.org",
        "Привет, как дела?",
        "你好，世界。",  # noqa: RUF001
        "مرحبا بالعالم",
        "नमस्ते",
        "こんにちは",
        "[[həlˈoʊ]] world",  # noqa: RUF001
    ],
)
def test_what_another_voice_may_not_know_is_said(mouth: Mouth, text: str) -> None:
    assert rms(joined(mouth.say(text))) > 0.003


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=st.text(max_size=40))
def test_no_text_raises(mouth: Mouth, text: str) -> None:
    blocks = mouth.say(text)
    sound = joined(blocks)
    assert len(sound) == 0 or (sound[0] == 0 and sound[-1] == 0)
    assert bool(blocks) or not any(c.isascii() and c.isalnum() for c in text)


def test_unknown_voice_and_emotion_are_the_default(mouth: Mouth) -> None:
    plain = joined(mouth.say("Yes."))
    assert np.array_equal(
        joined(mouth.say("Yes.", voice="nobody", emotion=Emotion("purple"))), plain
    )


def test_emotion_changes_the_pace(mouth: Mouth) -> None:
    plain, slow, fast = (
        len(joined(mouth.say(SENTENCE, emotion=Emotion(e))))
        for e in ("neutral", "sleepy", "excited")
    )
    assert fast < plain < slow


def test_cancel_ends_a_run_of_the_network(mouth: Mouth) -> None:
    """Not between two blocks but inside the one long call that comes before any block."""

    async def main() -> float:
        token = CancelToken()
        timer = threading.Timer(0.02, token.cancel)
        timer.start()
        began = time.perf_counter()
        with pytest.raises(Cancelled):
            async for _ in mouth.synthesizer.stream("ba" * 190, ticket=Ticket("t", cancel=token)):
                pass
        timer.join()
        return time.perf_counter() - began

    print(f"\ncancelled {mouth.loop.run_until_complete(main()) * 1000:.0f} ms after the start")
    assert mouth.say("Yes.")


def test_unmodified_piper_loads_and_aligns_the_voice() -> None:
    voice = PiperVoice.load(VOICE)
    (chunk,) = voice.synthesize(SENTENCE, include_alignments=True)
    assert chunk.phoneme_alignments is not None
    assert len(chunk.phoneme_alignments) == len(chunk.phonemes) + 2
    total = sum(a.num_samples for a in chunk.phoneme_alignments)
    assert total == pytest.approx(len(chunk.audio_float_array), rel=0.01)
    vowels = [a.num_samples for a in chunk.phoneme_alignments if a.phoneme in set("aæeiou")]
    assert min(vowels) > 200


def test_closing_lets_go_of_the_network() -> None:
    async def main() -> None:
        mouth = PiperSynthesizer(VOICE)
        network = weakref.ref(mouth._network._session)
        assert [b async for b in mouth.stream("Yes.", ticket=Ticket("tester"))]
        assert network() is not None
        await mouth.close()
        gc.collect()
        assert network() is None

    asyncio.run(main())


def test_the_voice_is_small_and_tells_no_path() -> None:
    data = VOICE.read_bytes()
    assert len(data) < 4_000_000
    assert str(VOICE.parents[2]).encode() not in data


def test_what_is_no_voice_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"missing\.onnx"):
        PiperSynthesizer(tmp_path / "missing.onnx")
    lone = tmp_path / "lone.onnx"
    shutil.copy(VOICE, lone)
    with pytest.raises(EngineUnavailable, match=r"lone\.onnx\.json"):
        PiperSynthesizer(lone)
    (tmp_path / "lone.onnx.json").write_text(json.dumps({"audio": 3}), encoding="utf-8")
    with pytest.raises(EngineUnavailable, match="JSON"):
        PiperSynthesizer(lone)
    shutil.copy(VOICE.with_name("voice.onnx.json"), tmp_path / "lone.onnx.json")
    lone.write_bytes(b"not a network")
    with pytest.raises(EngineUnavailable, match="loads"):
        PiperSynthesizer(lone)


@given(text=st.text(max_size=300), longest=st.integers(1, 50))
def test_pieces_lose_no_letter_and_keep_their_length(text: str, longest: int) -> None:
    plain = readable(text)
    parts = list(pieces(plain, longest))
    assert all(len(part) <= longest for part in parts)
    assert [c for part in parts for c in part if c.isalnum()] == [c for c in plain if c.isalnum()]


@given(phonemes=st.lists(st.sampled_from(["a", "b", " "])), most=st.integers(1, 20))
def test_shorter_loses_nothing(phonemes: list[str], most: int) -> None:
    runs = list(shorter(phonemes, most))
    assert [p for run in runs for p in run] == phonemes
    assert all(0 < len(run) <= most for run in runs)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 1000])
def test_fades_reach_silence_at_any_length(count: int) -> None:
    sound = faded(np.full(count, np.nan if count == 5 else 0.5, np.float32), 22_050)
    assert len(sound) == count
    assert np.isfinite(sound).all()
    if count >= 2:
        assert sound[0] == 0.0
        assert sound[-1] == 0.0


def test_readable_reads_lines_as_sentences_and_drops_markup() -> None:
    assert readable("# Title\n* one\n* two") == "Title. one. two"
    assert readable("**Yes**, 2 * 3 is `six`.") == "Yes, 2 * 3 is six."
    assert readable("snake_case [[x]] 🙂 ok") == "snake_case x ok"
