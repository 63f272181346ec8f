"""The meter of a microphone: levels of the last seconds, and what a dead one looks like."""

from __future__ import annotations

import numpy as np
import pytest

from brain.dialogue.sound_meter import SoundMeter

RATE = 16_000


def test_nothing_came() -> None:
    account = SoundMeter().account(5.0)
    assert account["seconds"] == 0
    assert account["silent_for_s"] is None
    assert account["level_dbfs"] is None
    assert not account["dead"]


def test_levels_are_those_of_the_sound() -> None:
    meter = SoundMeter()
    tone = (16384 * np.sin(np.arange(RATE) * 0.1)).astype(np.int16)
    for at in range(3):
        meter.push(tone, RATE, float(at))
    account = meter.account(4.5)
    assert account["seconds"] == 3
    assert account["silent_for_s"] == 2.5
    assert account["peak_dbfs"] == pytest.approx(-6.0, abs=0.1)
    assert account["level_dbfs"] == pytest.approx(-9.0, abs=0.1)
    assert (account["clipped"], account["dead"]) == (0.0, False)


@pytest.mark.parametrize("value", [0, 1, -32768])
def test_a_dead_microphone_gives_ever_the_same(value: int) -> None:
    meter = SoundMeter()
    meter.push(np.full(320, value, np.int16), RATE, 0.0)
    assert meter.account(0.0)["dead"]
    meter.push(np.arange(2, dtype=np.int16), RATE, 0.0)
    assert not meter.account(0.0)["dead"]


def test_what_was_long_ago_is_not_in_the_levels_but_in_the_seconds() -> None:
    meter = SoundMeter()
    loud = np.tile(np.array([32767, -32768], np.int16), RATE // 2)
    meter.push(loud, RATE, 0.0)
    assert meter.account(0.0)["clipped"] == 1.0
    for at in range(11):
        meter.push(np.zeros(RATE, np.int16), RATE, float(at))
    account = meter.account(11.0)
    assert (account["seconds"], account["clipped"], account["dead"]) == (12.0, 0.0, True)


def test_the_rate_is_that_of_the_chunk() -> None:
    meter = SoundMeter()
    meter.push(np.zeros(48_000, np.int16), 48_000, 0.0)
    meter.push(np.zeros(0, np.int16), RATE, 9.0)
    account = meter.account(1.0)
    assert (account["seconds"], account["silent_for_s"]) == (1.0, 1.0)
