"""The sounds that the ears are checked with are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from brain.ops import check_sounds

RATE = 16_000


@pytest.mark.parametrize("kind", sorted(check_sounds.MAKERS))
def test_the_same_seed_is_the_same_sound_of_unit_level(kind: str) -> None:
    make = check_sounds.MAKERS[kind]
    one, same = (make(np.random.default_rng(7), RATE, RATE) for _ in range(2))
    assert (one == same).all()
    assert one.dtype == np.float32
    assert one.shape == (RATE,)
    assert np.isfinite(one).all()
    if kind != "silence":
        assert check_sounds.rms(one) == pytest.approx(1, rel=0.01)
        other = make(np.random.default_rng(8), RATE, RATE)
        assert not (one == other).all()


def test_speech_is_mixed_with_noise_at_the_ratio_that_is_asked_for() -> None:
    rng = np.random.default_rng(1)
    speech = check_sounds.music(rng, RATE, RATE) * np.float32(0.1)
    noise = check_sounds.white(rng, RATE, RATE)
    mixed = check_sounds.mix_at_snr(speech, noise, 15.0)
    added = mixed - speech
    ratio = 20 * np.log10(check_sounds.rms(speech) / check_sounds.rms(added))
    assert ratio == pytest.approx(15.0, abs=0.1)
