"""What stands in for Silero: in rooms of several kinds, speech by a real voice is found in full."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brain.engines.vad.loudness import FRAME, LoudnessDetector
from tests.engines.vad.test_silero import heard, spoken


def noise(samples: int, dbfs: float) -> NDArray[np.float32]:
    made = np.random.default_rng(1).standard_normal(samples) * 10 ** (dbfs / 20)
    return made.astype(np.float32)


@pytest.mark.parametrize("room_dbfs", [-90.0, -60.0, -45.0])
def test_speech_is_found_and_the_room_is_not(room_dbfs: float) -> None:
    speech = spoken("Hello robot, please turn around and dance for me.")
    sound = noise(len(speech) + 10 * 16_000, room_dbfs)
    start = 8 * 16_000  # in which it learns how loud the room is
    sound[start : start + len(speech)] += 0.5 * speech
    found = heard(LoudnessDetector(), sound) > 0.5
    first, last = start // FRAME, (start + len(speech)) // FRAME
    assert np.mean(found[first + 4 : last - 8]) > 0.6
    assert not found[first - 60 : first].any()
    assert not found[last + 4 :].any()
    gaps = np.diff(np.flatnonzero(found[first:])) * FRAME / 16_000
    assert gaps.max() < 0.4  # less than the silence that ends a turn


def test_a_fan_that_is_switched_on_is_the_room_soon() -> None:
    sound = np.concatenate([noise(2 * 16_000, -70.0), noise(20 * 16_000, -35.0)])
    found = heard(LoudnessDetector(), sound) > 0.5
    assert not found[:60].any()
    assert found[70]
    assert not found[-150:].any()


def test_a_stream_has_a_room_of_its_own_and_forgets_it() -> None:
    detector = LoudnessDetector()
    loud, quiet = detector.new_stream(), detector.new_stream()
    frames = np.stack([noise(FRAME, -10.0), noise(FRAME, -80.0)])
    assert list(detector.probabilities([loud, quiet], frames)) == [1.0, 0.0]
    for _ in range(2_000):
        detector.probabilities([loud], frames[:1])
    assert detector.probabilities([loud], frames[:1])[0] == 0.0
    loud.reset()
    assert detector.probabilities([loud], frames[:1])[0] == 1.0
    assert detector.probabilities([], np.zeros((0, FRAME), np.float32)).shape == (0,)
