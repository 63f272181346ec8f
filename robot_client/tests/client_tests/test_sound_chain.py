"""The whole way of a sound: microphone, wire, playback, at the pace of real time. It stays clean.

A sine of -20 dBFS goes in; the bound is the issue's -60 dB, and -70 dB what is really kept.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from client_tests.sine import sine, thd_n
from robot_client.microphone import Microphone
from robot_client.pcm import PCM, from_bytes, resample, to_bytes
from robot_client.playback import Mark, Playback
from robot_client.reachy.paced_speaker import PacedSpeaker

WIRE = 16_000
SECONDS = 2.0
CHUNKS = (479, 1, 960, 1023, 2, 31, 2048, 777)  # of 48 kHz
DELTA = 1_234  # bytes of the wire in a delta, whatever that is in milliseconds
BRAIN_LEAD_MS = 600


def wire(hz: float) -> bytes:
    """A float stereo microphone's sine as it reaches the brain; the other channel is loud noise."""
    tone = sine(hz, 48_000, SECONDS)
    noise = np.random.default_rng(1).uniform(-1, 1, len(tone))
    frames = np.stack([tone, noise], axis=1).astype(np.float32)
    microphone, sent, at = Microphone(WIRE), b"", 0
    for count in itertools.cycle(CHUNKS):
        if at >= len(frames):
            return sent
        sent += to_bytes(microphone.feed(48_000, frames[at : at + count]))
        at += count
    raise AssertionError


def paced(data: bytes, rate: int) -> tuple[PCM, list[Mark]]:
    """A reply as the brain sends it, ahead of real time, played by a paced speaker."""
    now, marks, frames = [0.0], [], []
    speaker = PacedSpeaker(rate, marks.append, clock=lambda: now[0])
    while now[0] < 1.0 or not speaker.empty:
        while data and speaker.queued_ms < BRAIN_LEAD_MS:
            speaker.push(1, from_bytes(data[:DELTA]), WIRE)
            data = data[DELTA:]
        while (frame := speaker.take()) is not None:
            frames.append(frame)
        now[0] += min(0.1, speaker.wait_s() or 0.02) + 0.003  # and never quite in time
    return np.concatenate(frames), marks


def pulled(data: bytes, rate: int) -> tuple[PCM, list[Mark]]:
    """The same, pulled by a device."""
    marks: list[Mark] = []
    playback, blocks = Playback(rate, marks.append), []
    for start in range(0, len(data), DELTA):
        playback.push(1, from_bytes(data[start : start + DELTA]), WIRE)
    while not playback.empty:
        blocks.append(playback.pull(rate // 50))
    return np.concatenate(blocks), marks


@pytest.mark.parametrize("hz", [997, 1000, 3100])
@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("way", [paced, pulled])
def test_a_sine_stays_a_sine(way, rate: int, hz: float) -> None:
    data = wire(hz)
    out, marks = way(data, rate)
    samples = len(data) // 2 * rate / WIRE
    assert samples - 0.5 <= len(out) < samples + rate // 50  # a device's last block is filled up
    middle = out[rate // 10 : round(samples) - rate // 10]
    assert thd_n(middle, hz, rate) < -70
    assert np.sqrt(2 * np.mean((middle / 32768.0) ** 2)) == pytest.approx(0.1, rel=0.001)
    assert marks[-1] == Mark(1, len(data) // 2 * 1000 // WIRE)


def test_the_measure_sees_a_click_a_slip_and_noise() -> None:
    """Or the tests above would show nothing."""
    clean = np.round(sine(997, WIRE, 1.0) * 32768)
    assert thd_n(clean, 997, WIRE) < -75
    assert thd_n(np.delete(clean, 8000), 997, WIRE) > -20
    clicked = clean.copy()
    clicked[8000:8010] = 0
    assert thd_n(clicked, 997, WIRE) > -60
    noise = np.random.default_rng(0).standard_normal(WIRE) * 10 ** (-60 / 20) * np.std(clean)
    assert thd_n(clean + noise, 997, WIRE) == pytest.approx(-60, abs=0.2)
    pcm = np.round(sine(997, 24_000, 1.0) * 32768).astype(np.int16)
    forgetful = [resample(frame, 24_000, WIRE) for frame in np.split(pcm, 50)]  # frame by frame
    assert thd_n(np.concatenate(forgetful), 997, WIRE) > -60
