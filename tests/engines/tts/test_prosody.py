"""Emotions are heard: in the length of real sound, and in the pitch of espeak's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.ports import Emotion, Synthesizer, Ticket
from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer
from brain.engines.tts.piper import PiperSynthesizer
from brain.engines.tts.prosody import NEUTRAL, Prosody, prosody
from brain.persona.moods import EMOTIONS

VOICE = Path(__file__).parents[3] / "brain" / "pocket" / "voice.onnx"
SENTENCE = "Hello, I am glad that you came by today."
# Long enough for a median: espeak never speaks twice alike.
TALE = (
    "Once there was a small robot, and it liked to count. Did it ever stop? No, it counted all day "
    "long, and at night it dreamt of numbers. What a happy little robot it was!"
)
LIVELY = [name for name in EMOTIONS if name != "neutral"]

Heard = dict[str, NDArray[np.float64]]


async def said(mouth: Synthesizer, text: str, emotion: Emotion | None) -> NDArray[np.float64]:
    stream = mouth.stream(text, emotion=emotion, ticket=Ticket("a"))
    blocks: list[Audio] = [block async for block in stream]
    return np.concatenate([block.samples for block in blocks]).astype(np.float64)


def all_heard(make: Callable[[], Awaitable[Synthesizer]], text: str) -> Heard:
    """The text in every emotion at intensity 1, without one (""), and so again ("again")."""

    async def main() -> Heard:
        mouth = await make()
        try:
            heard = {"": await said(mouth, text, None)}
            # Last of all the neutral ones: what one call sets must not colour the next.
            for name in (*LIVELY, "neutral"):
                heard[name] = await said(mouth, text, Emotion(name, 1.0))
            heard["half"] = await said(mouth, text, Emotion("sleepy", 0.5))
            heard["unmoved"] = await said(mouth, text, Emotion("sleepy", 0.0))
            heard["unknown"] = await said(mouth, text, Emotion("purple", 1.0))
            heard["again"] = await said(mouth, text, None)
            return heard
        finally:
            await mouth.close()

    return asyncio.run(main())


@pytest.fixture(scope="module")
def espeak() -> Heard:
    return all_heard(lambda: EspeakSynthesizer.load(EspeakOptions()), TALE)


@pytest.fixture(scope="module")
def piper() -> Heard:
    async def make() -> Synthesizer:
        return PiperSynthesizer(VOICE)

    return all_heard(make, SENTENCE)


def pitches(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fundamental frequencies, Hz, of the frames that are clearly voiced, by autocorrelation."""
    # At a third of the rate: two octaves above any voice's pitch are enough.
    rate = 22_050 // 3
    sound = sound[: len(sound) // 3 * 3].reshape(-1, 3).mean(axis=1)
    found = []
    width = rate // 25
    least, most = rate // 400, rate // 60
    for start in range(0, len(sound) - width - most, width // 2):
        frame = sound[start : start + width]
        if np.sqrt(np.mean(frame * frame)) < 500:
            continue
        later = sound[start + least : start + most + width]
        shifted = np.lib.stride_tricks.sliding_window_view(later, width)
        likeness = shifted @ frame / np.sqrt((frame @ frame) * np.square(shifted).sum(1) + 1)
        best = int(likeness.argmax())
        if 0 < best < len(likeness) - 1 and likeness[best] > 0.85:
            # The top of the parabola through the best three: finer than a sample.
            before, top, after = likeness[best - 1 : best + 2]
            best += 0.5 * (before - after) / (before - 2 * top + after)
            found.append(rate / (least + best))
    assert len(found) > 20, "a sentence has vowels"
    return np.array(found)


def spread(values: NDArray[np.float64]) -> float:
    return float(np.percentile(values, 90) - np.percentile(values, 10))


def test_without_an_emotion_the_voice_is_as_it_is() -> None:
    assert prosody(None) is NEUTRAL
    for emotion in ("neutral", "purple", ""):
        assert prosody(Emotion(emotion, 1.0)) == Prosody(1.0, 1.0, 1.0)
    assert prosody(Emotion("excited", 0.0)) == Prosody(1.0, 1.0, 1.0)


@pytest.mark.parametrize("name", LIVELY)
def test_every_other_emotion_is_small_grows_with_its_intensity_and_is_like_no_other(
    name: str,
) -> None:
    full, half = prosody(Emotion(name, 1.0)), prosody(Emotion(name, 0.5))
    assert 0.7 <= full.rate <= 1.25
    assert 0.85 <= full.pitch <= 1.25
    assert 0.5 <= full.variation <= 1.8
    for whole, part in zip(vars(full).values(), vars(half).values(), strict=True):
        assert abs(part - 1) < abs(whole - 1) or part == whole == 1
    assert prosody(Emotion(name, 7.0)) == full
    assert prosody(Emotion(name, -1.0)) == NEUTRAL
    assert prosody(Emotion(name, float("nan"))) == NEUTRAL
    assert [other for other in EMOTIONS if prosody(Emotion(other, 1.0)) == full] == [name]


@pytest.mark.parametrize("engine", ["espeak", "piper"])
def test_the_pace_is_heard(engine: str, request: pytest.FixtureRequest) -> None:
    heard: Heard = request.getfixturevalue(engine)
    plain = len(heard[""])
    for name in LIVELY:
        ratio = plain / len(heard[name])
        assert ratio == pytest.approx(prosody(Emotion(name, 1.0)).rate, rel=0.06), name
    assert plain < len(heard["half"]) < len(heard["sleepy"])


@pytest.mark.parametrize("engine", ["espeak", "piper"])
def test_no_emotion_is_left_over(engine: str, request: pytest.FixtureRequest) -> None:
    heard: Heard = request.getfixturevalue(engine)
    for name in ("again", "neutral", "unmoved", "unknown"):
        if engine == "piper":  # the same text is the same sound
            assert np.array_equal(heard[name], heard[""])
        else:  # it never speaks twice with the same samples
            assert len(heard[name]) == pytest.approx(len(heard[""]), rel=0.01)
            assert np.median(pitches(heard[name])) == pytest.approx(
                np.median(pitches(heard[""])), rel=0.03
            )


def plainly(espeak: Heard) -> NDArray[np.float64]:
    """The pitches of the voice as it is, from all that was said so."""
    return np.concatenate([pitches(espeak[name]) for name in ("", "neutral", "unmoved", "again")])


def test_the_pitch_is_heard(espeak: Heard) -> None:
    plain = np.median(plainly(espeak))
    for name in LIVELY:
        ratio, meant = np.median(pitches(espeak[name])) / plain, prosody(Emotion(name, 1.0)).pitch
        assert ratio == pytest.approx(meant, rel=0.1), name
        if abs(meant - 1) > 0.07:
            assert (ratio > 1.03) if meant > 1 else (ratio < 0.97), name


def test_the_melody_is_heard(espeak: Heard) -> None:
    plain = spread(plainly(espeak))
    for name in ("excited", "surprised", "silly"):
        assert spread(pitches(espeak[name])) > 1.2 * plain, name
    for name in ("sad", "sleepy"):
        assert spread(pitches(espeak[name])) < 0.85 * plain, name
