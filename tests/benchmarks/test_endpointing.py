"""The labelled utterances of the end-pointing benchmark, and where they end."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.endpointing.utterances import RATE, Utterance, read, spoken


def test_there_are_enough_in_two_halves_of_one_kind() -> None:
    utterances = read()
    assert len({(one.pieces, one.pauses_ms) for one in utterances}) == len(utterances) >= 60
    halves = {
        half: [one.kind for one in utterances if one.half == half]
        for half in ("tuning", "held_out")
    }
    assert halves["tuning"] == halves["held_out"]
    for one in utterances:
        assert len(one.pauses_ms) == len(one.pieces) - 1
        assert all(300 <= pause <= 1_500 for pause in one.pauses_ms)


def tone(text: str) -> NDArray[np.float32]:
    """A tenth of a second a letter, between two silences of half a second."""
    sound = np.sin(np.arange(len(text) * RATE // 10) / 10).astype(np.float32) * 0.3
    return np.pad(sound, RATE // 2)


def test_a_label_is_where_the_last_piece_ends() -> None:
    said = spoken(Utterance("tuning", "open", ("ab", "cde"), (700,)), "tone", tone, 1)
    (first, first_end), (second, second_end) = said.spans
    assert first_end - first == pytest.approx(0.2, abs=0.011)
    assert second - first_end == pytest.approx(0.7, abs=1e-6)
    assert second_end - second == pytest.approx(0.3, abs=0.011)
    assert said.end_s == second_end
    level = np.abs(said.sound.astype(np.float64))
    end = int(said.end_s * RATE)
    assert level[end - 160 : end].max() > 5_000
    assert level[end + 160 :].max() < 200
    assert len(said.sound) > end + 2 * RATE
