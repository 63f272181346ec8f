"""Resampling a stream in pieces gives what resampling it at once gives."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.audio.resample import Resampler

RATES = st.sampled_from([8_000, 16_000, 22_050, 24_000, 48_000])


@given(RATES, RATES, st.lists(st.integers(1, 2_000), min_size=1, max_size=12))
@settings(deadline=None, max_examples=60)
def test_pieces_join_without_a_seam(source: int, target: int, sizes: list[int]) -> None:
    t = np.arange(sum(sizes)) / source
    sound = (10_000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
    resampler = Resampler(source, target)
    pieces = [resampler.push(piece) for piece in np.split(sound, np.cumsum(sizes)[:-1])]
    joined = np.concatenate([*pieces, resampler.flush()])
    whole = soxr.resample(sound, source, target)
    assert abs(len(joined) - len(whole)) <= 1
    shared = min(len(joined), len(whole))
    assert np.abs(joined[:shared].astype(int) - whole[:shared]).max(initial=0) <= 2


def test_the_same_rate_is_the_same_sound() -> None:
    sound = np.arange(100, dtype=np.int16)
    assert Resampler(16_000, 16_000).push(sound) is sound


@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_no_drift_over_a_minute(rate: int) -> None:
    resampler, out = Resampler(rate, 16_000), 0
    for _ in range(600):
        out += len(resampler.push(np.zeros(rate // 10, np.int16)))
    out += len(resampler.flush())
    assert abs(out - 60 * 16_000) <= 2
