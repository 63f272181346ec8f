"""The model of the robot's echo, by the pocket voice in a simulated room."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.dialogue.echo import ArrivalClock, EchoModel
from tests.dialogue.room import RATE, REPLIES, Sound, guest, said, shoebox

FRAME = 512


def voice(count: int) -> NDArray[np.int16]:
    """So many replies by the pocket voice, at its own rate, with a pause after each."""
    pause = np.zeros(said(REPLIES[0])[0].sample_rate // 2, np.int16)
    parts = [block.samples for text in REPLIES[:count] for block in (*said(text),)]
    return np.concatenate([*parts, pause])


def at_16k(samples: NDArray[np.int16]) -> Sound:
    rate = said(REPLIES[0])[0].sample_rate
    at = np.arange(0, len(samples) - 1, rate / RATE)
    return np.interp(at, np.arange(len(samples)), samples / 32768.0)


def echo_of(sound: Sound, db: float, delay_ms: float) -> Sound:
    late = np.zeros(round(delay_ms / 1_000 * RATE))
    back = np.convolve(sound, shoebox())[: len(sound)]
    back = np.concatenate((late, back))[: len(sound)]
    noise = 0.001 * np.random.default_rng(1).standard_normal(len(sound))
    return 10 ** (db / 20) * back + noise


class Ear:
    """A model whose robot began to speak at `began` on the clock, and how it judges frames."""

    def __init__(self, began: float = 1_000.0, lead_s: float = 0.6) -> None:
        self.model = EchoModel(lead_s=lead_s)
        self.sent = self.heard = began

    def lives(self, sent: NDArray[np.int16], heard: Sound, *, speech: bool = True) -> list[bool]:
        """Sound goes out 0.5 s ahead, and the microphone's comes in. Which frames are louder?"""
        rate = said(REPLIES[0])[0].sample_rate
        size, louder, position = rate // 10, [], 0
        for start in range(0, len(heard) - FRAME + 1, FRAME):
            while position < len(sent) and self.sent < self.heard + 0.5:
                piece = Audio(sent[position : position + size], rate)
                self.model.sent(piece, self.sent)
                self.sent += piece.seconds
                position += size
            self.heard += FRAME / RATE
            frame = heard[start : start + FRAME].astype(np.float32)
            louder.append(
                self.model.louder_than_echo(frame, self.heard, speech=speech, goes_on=False)
            )
        self.sent = max(self.sent, self.heard)
        return louder


@pytest.mark.parametrize("db", [-6.0, -12.0, -20.0])
@pytest.mark.parametrize("delay_ms", [50, 150, 300])
def test_gain_and_delay_are_learnt_and_the_robot_alone_is_never_louder(
    db: float, delay_ms: float
) -> None:
    sent = voice(2)
    own = at_16k(sent)
    ear = Ear()
    assert not any(ear.lives(sent, echo_of(own, db, delay_ms))[: len(own) // FRAME - 20])
    estimate = ear.model.estimate
    assert estimate.gain_db == pytest.approx(db, abs=0.5)
    assert estimate.delay_s == pytest.approx(delay_ms / 1_000, abs=0.024)
    assert estimate.spread_db < 3
    # Somebody else, no louder than the robot itself: about as often as they are heard at all.
    somebody = guest("What time is it?", 0.1)
    mixed = echo_of(own, db, delay_ms)
    mixed[RATE : RATE + len(somebody)] += somebody
    loud = np.array(ear.lives(sent, mixed))
    within = loud[RATE // FRAME : (RATE + len(somebody)) // FRAME]
    assert within.mean() > 0.5
    assert np.count_nonzero(loud[: RATE // FRAME - 1]) <= 1


def test_before_anything_is_known_only_what_is_louder_than_the_robot_is_somebody() -> None:
    sent = voice(1)[:16_000]
    own = at_16k(sent)
    assert not any(Ear().lives(sent, echo_of(own, 0.0, 50)))
    loud = 8 * guest("What time is it?")[: len(own)]
    assert any(Ear().lives(sent, echo_of(own, 0.0, 50) + loud)), "from the very first frame on"
    assert all(Ear().lives(sent[8_000:], np.ones(4 * FRAME * 8)))


def test_a_silent_robot_hides_nobody() -> None:
    ear = Ear()
    somebody = guest("What time is it?", 0.01)
    assert all(ear.lives(np.zeros(0, np.int16), somebody))
    sent = voice(1)
    ear.lives(sent, echo_of(at_16k(sent), -12, 100))
    ear.heard = ear.sent = ear.heard + 1_000.0
    assert all(ear.lives(np.zeros(0, np.int16), somebody)), "nor does one that spoke long ago"


def test_a_loudspeaker_that_was_turned_up_is_learnt_once_it_is_told() -> None:
    sent = voice(2)
    own = at_16k(sent)
    ear = Ear()
    ear.lives(sent, echo_of(own, -20, 100))
    assert np.mean(ear.lives(sent, echo_of(own, -6, 100))) > 0.2, "taken for somebody"
    ear.model.was_echo(10.0)
    assert ear.model.estimate.gain_db == pytest.approx(-6, abs=2)
    assert np.mean(ear.lives(sent, echo_of(own, -6, 100))) < 0.01


def test_a_loudspeaker_that_was_turned_down_is_learnt_by_itself() -> None:
    sent = voice(2)
    own = at_16k(sent)
    ear = Ear()
    ear.lives(sent, echo_of(own, -6, 100))
    ear.lives(sent, echo_of(own, -20, 250))
    assert ear.model.estimate.gain_db == pytest.approx(-20, abs=1)
    assert ear.model.estimate.delay_s == pytest.approx(0.25, abs=0.024)


def test_nothing_but_zeros_and_full_scale_are_no_trouble() -> None:
    ear = Ear()
    loud = np.full(40_000, 32767, np.int16)
    ear.lives(loud, np.zeros(RATE))
    ear.lives(loud, np.ones(2 * RATE))
    ear.lives(np.zeros(40_000, np.int16), np.zeros(2 * RATE))
    ear.model.was_echo(10.0)
    assert np.isfinite(ear.model.estimate.spread_db)


def test_chunks_that_come_late_in_a_burst_do_not_move_the_clock_and_a_gap_does() -> None:
    clock = ArrivalClock(chunks=50)
    for i in range(100):
        clock.arrived(0.02, 10.0 + 0.02 * (i + 1))
    assert clock.time_of(2.0) == pytest.approx(12.0)
    for _ in range(20):  # held up for 400 ms, and then all at once
        clock.arrived(0.02, 12.4)
    assert clock.time_of(2.4) == pytest.approx(12.4)
    assert clock.time_of(2.0) == pytest.approx(12.0)
    for i in range(50):  # the microphone was off for 3 s
        clock.arrived(0.02, 15.4 + 0.02 * (i + 1))
    assert clock.time_of(3.4) == pytest.approx(16.4)
