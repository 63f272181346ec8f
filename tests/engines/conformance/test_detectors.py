"""What every `VoiceDetector` does: inline, on one thread, for any number of microphones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from brain.engines.ports import Device, EngineFailed, VoiceDetector
from brain.engines.vad.loudness import LoudnessDetector
from brain.engines.vad.silero import SileroDetector
from tests.engines.conformance.sounds import RATE, Sound, phrase


@dataclass(frozen=True)
class Adapter:
    """`name` and `device` are what its `info` must say. (A detector is loaded at once, and is
    never closed.)"""

    name: str
    device: Device
    load: Callable[[], VoiceDetector]


ADAPTERS = (
    Adapter("silero", "cpu", SileroDetector),
    Adapter("loudness", "cpu", LoudnessDetector),
)


@pytest.fixture(scope="module", params=ADAPTERS, ids=lambda adapter: adapter.name)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    made: Adapter = request.param
    return made


@pytest.fixture(scope="module")
def detector(adapter: Adapter) -> VoiceDetector:
    return adapter.load()


@pytest.fixture(scope="module")
def frames(detector: VoiceDetector) -> Sound:
    """float32 [n, frame_samples] of speech, and of the silence around it."""
    return cut(detector, phrase("What is your name?"))


def cut(detector: VoiceDetector, sound: Sound) -> Sound:
    size = detector.frame_samples
    return sound[: len(sound) // size * size].reshape(-1, size)


def heard(detector: VoiceDetector, frames: Sound) -> Sound:
    stream = detector.new_stream()
    return np.array([detector.probabilities([stream], frame[None])[0] for frame in frames])


def test_it_tells_what_it_is(adapter: Adapter, detector: VoiceDetector) -> None:
    assert (detector.info.name, detector.info.device) == (adapter.name, adapter.device)
    assert detector.info.model
    # 10 to 100 ms: shorter is dear, longer is late.
    assert RATE // 100 <= detector.frame_samples <= RATE // 10


def test_speech_is_speech_and_silence_is_none(detector: VoiceDetector) -> None:
    speech = phrase("Tell me a joke.")[RATE // 3 : -RATE // 3]
    quiet = np.zeros(RATE, np.float32)
    found = heard(detector, cut(detector, np.concatenate([quiet, speech, quiet]))) > 0.5
    second = RATE // detector.frame_samples
    assert not found[: second - 1].any()
    assert np.mean(found[second:-second]) > 0.6
    assert not found[-second // 2 :].any()


@pytest.mark.parametrize("count", [0, 1, 3, 64])
def test_probabilities_are_float32_between_0_and_1(detector: VoiceDetector, count: int) -> None:
    streams = [detector.new_stream() for _ in range(count)]
    noise = np.random.default_rng(1).standard_normal((count, detector.frame_samples))
    found = detector.probabilities(streams, noise.astype(np.float32))
    assert found.dtype == np.float32
    assert found.shape == (count,)
    assert ((found >= 0) & (found <= 1)).all()


def test_microphones_do_not_hear_one_another(detector: VoiceDetector, frames: Sound) -> None:
    noise = np.random.default_rng(1).standard_normal(frames.shape).astype(np.float32) * 0.1
    alone = [heard(detector, frames), heard(detector, noise)]
    streams = [detector.new_stream(), detector.new_stream()]
    pairs = np.stack([frames, noise], axis=1)
    together = [detector.probabilities(streams, pair) for pair in pairs]
    np.testing.assert_allclose(np.stack(together, axis=1), np.stack(alone), atol=1e-4)


def test_a_stream_that_is_reset_is_a_new_one(detector: VoiceDetector, frames: Sound) -> None:
    stream = detector.new_stream()
    for frame in frames:
        detector.probabilities([stream], frame[None])
    stream.reset()
    again = [detector.probabilities([stream], frame[None])[0] for frame in frames]
    np.testing.assert_allclose(again, heard(detector, frames), atol=1e-6)


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf, 3e38, -1e9, 1e-45])
def test_broken_samples_do_not_stay(detector: VoiceDetector, frames: Sound, sample: float) -> None:
    """A microphone that sent them is heard again as soon as it is well."""
    stream = detector.new_stream()
    for broken in (np.full_like(frames[0], sample), np.where(frames[0] > 0, sample, frames[0])):
        found = detector.probabilities([stream], broken[None].astype(np.float32))
        assert 0 <= found[0] <= 1
    after = [detector.probabilities([stream], frame[None])[0] for frame in frames]
    assert np.isfinite(after).all()
    assert np.max(after) > 0.5


def test_what_it_cannot_take_is_told_and_advances_nothing(
    detector: VoiceDetector, frames: Sound
) -> None:
    class Foreign:
        def reset(self) -> None: ...

    size = detector.frame_samples
    stream, other = detector.new_stream(), detector.new_stream()
    found = []
    for frame in frames:
        for shape in ((1, size - 1), (2, size), (size,), (0, size)):
            with pytest.raises(EngineFailed):
                detector.probabilities([stream], np.ones(shape, np.float32))
        with pytest.raises(EngineFailed):
            detector.probabilities([stream, other], frame[None])
        with pytest.raises(EngineFailed):
            detector.probabilities([stream, Foreign()], np.stack([frame, frame]))
        found.append(detector.probabilities([stream], frame[None])[0])
    np.testing.assert_allclose(found, heard(detector, frames), atol=1e-6)


def test_a_frame_is_its_giver_s(detector: VoiceDetector, frames: Sound) -> None:
    """It may be read-only, and may be written over afterwards."""
    stream, found = detector.new_stream(), []
    buffer = np.zeros_like(frames[:1])
    view = buffer.view()
    view.flags.writeable = False
    for frame in frames:
        buffer[:] = frame
        found.append(detector.probabilities([stream], view)[0])
        buffer[:] = np.nan
    np.testing.assert_allclose(found, heard(detector, frames), atol=1e-6)


def test_two_of_them_live_in_one_process(
    adapter: Adapter, detector: VoiceDetector, frames: Sound
) -> None:
    right = heard(detector, frames)
    second = adapter.load()
    assert second.info == detector.info
    np.testing.assert_allclose(heard(second, frames), right, atol=1e-6)
    del second
    np.testing.assert_allclose(heard(detector, frames), right, atol=1e-6)
