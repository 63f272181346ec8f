"""The gate on figures as Whisper gives them."""

from __future__ import annotations

import numpy as np
import pytest

from brain.engines.stt.hearing_gate import SILENCE_DBFS, believable, loudness


def test_loudness_is_that_of_words_not_of_clicks() -> None:
    silence = np.zeros(16000, np.float32)
    assert loudness(silence) == float("-inf")
    assert loudness(np.zeros(0, np.float32)) == float("-inf")
    click = silence.copy()
    click[8000:8040] = 1.0
    assert loudness(click) < SILENCE_DBFS
    word = np.zeros(3 * 16000, np.float32)
    word[8000:13000] = 0.1 * np.sin(np.arange(5000))
    assert loudness(word) == pytest.approx(-23, abs=0.5)
    hiss = np.random.default_rng(0).standard_normal(16000).astype(np.float32) * 1e-4
    assert loudness(hiss) < SILENCE_DBFS


@pytest.mark.parametrize(
    ("text", "no_speech", "logprob", "ratio", "level", "believed"),
    [
        ("Hello robot.", 0.05, -0.1, 1.0, -25, True),
        ("Hello robot.", 0.9, -0.3, 1.0, -25, True),  # sure of the words
        ("Hello robot.", 0.9, -1.4, 1.0, -25, False),
        ("", 0.0, 0.0, 0.0, -20, False),
        (" ...!", 0.0, -0.1, 1.0, -20, False),
        ("Thank you.", 0.1, -0.1, 1.0, -25, True),  # said to the robot
        ("Thank you.", 0.1, -0.4, 1.0, -45, True),  # said from afar
        ("Thank you.", 0.7, -0.8, 1.0, -25, False),
        ("Thank you.", 0.7, -0.3, 1.0, -50, False),
        ("you", 0.95, -0.2, 1.0, -25, False),
        ("Thanks for watching!", 0.95, -0.2, 1.0, -25, False),
        ("ha ha ha ha ha ha ha ha ha ha ha ha", 0.1, -0.9, 5.0, -25, False),
        ("ha ha ha ha ha ha ha ha ha ha ha ha", 0.1, -0.2, 5.0, -25, True),
    ],
)
def test_what_is_believed(
    text: str, no_speech: float, logprob: float, ratio: float, level: float, believed: bool
) -> None:
    assert (
        believable(
            text,
            no_speech_prob=no_speech,
            avg_logprob=logprob,
            compression_ratio=ratio,
            level_dbfs=level,
        )
        is believed
    )
