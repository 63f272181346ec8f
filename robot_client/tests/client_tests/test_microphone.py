"""Whatever a microphone's library hands over comes out as the wire's PCM."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_tests.sine import sine, thd_n
from robot_client.microphone import Microphone
from robot_client.pcm import resample

WIRE = 16_000
PCM = (np.sin(np.arange(960) / 9) * 20_000).round().astype(np.int16)
OTHER = np.roll(PCM, 77)  # what the second channel hears

DTYPES = {
    "int16": lambda pcm: pcm,
    "int32": lambda pcm: pcm.astype(np.int32) * 2**16,
    "float32": lambda pcm: (pcm / 32768).astype(np.float32),
    "float64": lambda pcm: pcm / 32768,
    "other byte order": lambda pcm: pcm.astype(">i2"),
    "other byte order, float": lambda pcm: (pcm / 32768).astype(">f4"),
}
LAYOUTS = {
    "(N,)": lambda one, two: one,
    "(1, N)": lambda one, two: one[None, :],
    "(N, 1)": lambda one, two: one[:, None],
    "(N, 2)": lambda one, two: np.stack([one, two], axis=1),
    "(2, N)": lambda one, two: np.stack([one, two]),
    "(2, N) of an (N, 2)": lambda one, two: np.stack([one, two], axis=1).T,
    "every third of (N, 6)": lambda one, two: np.stack([one, two] * 3, axis=1)[:, ::2],
    "backwards": lambda one, two: one[::-1].copy()[::-1],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_channel_0_comes_out_bit_for_bit_whatever_holds_it(dtype: str, layout: str) -> None:
    frame = LAYOUTS[layout](DTYPES[dtype](PCM), DTYPES[dtype](OTHER))
    frame.flags.writeable = False
    out = Microphone(WIRE).feed(WIRE, frame)
    assert out.dtype == np.int16
    assert out.tolist() == PCM.tolist()
    other_rate = Microphone(WIRE)
    assert len(other_rate.feed(48_000, frame)) + len(other_rate.feed(WIRE, frame)) == 320 + 960


def test_unsigned_bytes_have_their_zero_at_128() -> None:
    out = Microphone(WIRE).feed(WIRE, np.array([0, 127, 128, 129, 255], np.uint8))
    assert out.tolist() == [-32768, -256, 0, 256, 32512]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_too_loud_is_clipped_and_nonsense_is_silence(dtype: type) -> None:
    frame = np.array([1.0, -1.0, 7.5, -1e30, np.nan, np.inf, -np.inf, 0.5], dtype)
    out = Microphone(WIRE).feed(WIRE, frame)
    assert out.tolist() == [32767, -32768, 32767, -32768, 0, 0, 0, 16384]
    assert np.isnan(frame[4])  # what was given is left as it was
    other_rate = Microphone(WIRE)
    other_rate.feed(48_000, frame)  # nor does one NaN deafen a resampler for good
    later = other_rate.feed(48_000, np.full(48_000, 0.5, dtype))
    assert later[-1000:].tolist() == [16384] * 1000


def test_a_double_beyond_what_a_single_can_hold_is_only_too_loud() -> None:
    assert Microphone(WIRE).feed(WIRE, np.array([1e300, -1e300])).tolist() == [32767, -32768]
    sound = np.full(48_000, 0.5)
    sound[24_000] = 1e300  # one spike, and not a second of its ringing
    out = Microphone(WIRE).feed(48_000, sound)[1_000:15_000]
    assert np.flatnonzero(np.abs(out - 16_384) > 300).tolist() == pytest.approx([7_000], abs=20)


def test_two_samples_of_two_channels_are_rows_of_samples() -> None:
    assert Microphone(WIRE).feed(WIRE, np.array([[1, 2], [3, 4]], np.int16)).tolist() == [1, 3]


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_chunks_of_any_length_are_laid_out_as_those_before_them(channels: int) -> None:
    frames = np.stack([np.roll(PCM, 7 * n) for n in range(channels)], axis=1)
    tall, wide = Microphone(WIRE), Microphone(WIRE)
    cuts = [0, 100, 101, 103, 106, 110, 600, 602, len(PCM)]
    for first, end in itertools.pairwise(cuts):
        assert tall.feed(WIRE, frames[first:end]).tolist() == PCM[first:end].tolist()
        assert wide.feed(WIRE, frames[first:end].T).tolist() == PCM[first:end].tolist()


@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0), (1, 0), (0, 0)])
def test_an_empty_frame_is_nothing_and_loses_nothing(shape: tuple[int, ...]) -> None:
    whole, holed = Microphone(WIRE), Microphone(WIRE)
    assert holed.feed(48_000, np.zeros(shape, np.int16)).shape == (0,)
    expected, got = [], []
    for start in range(0, 960, 320):
        chunk = PCM[start : start + 320]
        expected += whole.feed(48_000, chunk).tolist()
        got += holed.feed(48_000, np.zeros(shape, np.int16)).tolist()
        got += holed.feed(48_000, chunk).tolist()
    assert got == expected


@pytest.mark.parametrize(
    ("rate", "frame", "why"),
    [
        (0, PCM, "0 isn't a sample rate"),
        (-16_000, PCM, "-16000 isn't a sample rate"),
        (320, PCM, "320 isn't a sample rate"),
        (16_000.5, PCM, "isn't a sample rate"),
        (float("nan"), PCM, "nan isn't a sample rate"),
        (WIRE, np.zeros((2, 3, 4), np.int16), r"\(2, 3, 4\)"),
        (WIRE, np.int16(3), "axes"),
        (WIRE, np.zeros(3, complex), "complex128"),
        (WIRE, np.zeros(3, bool), "bool"),
        (WIRE, np.array(["a"]), "not <U1"),
        (WIRE, np.zeros(3, np.uint16), "uint16"),
        (WIRE, None, "axes"),
        (WIRE, [None], "object"),
    ],
)
def test_what_is_no_sound_is_refused_and_the_next_chunk_heard(
    rate: int, frame: np.ndarray, why: str
) -> None:
    plain, troubled = Microphone(WIRE), Microphone(WIRE)
    expected = [*plain.feed(48_000, PCM), *plain.feed(48_000, PCM)]
    got = [*troubled.feed(48_000, PCM)]
    with pytest.raises(ValueError, match=why):
        troubled.feed(rate, frame)
    assert [*got, *troubled.feed(48_000, PCM)] == expected


@settings(deadline=None)
@given(
    rate=st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]),
    chunks=st.lists(st.integers(1, 3_000), min_size=1, max_size=40),
    seed=st.integers(0, 9),
)
def test_however_a_stream_is_cut_it_is_the_same(rate: int, chunks: list[int], seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(sum(chunks)).astype(np.float32) * 0.2
    whole, cut, at = Microphone(WIRE), Microphone(WIRE), 0
    got = []
    for count in chunks:
        got += cut.feed(rate, noise[at : at + count]).tolist()
        at += count
    assert got == whole.feed(rate, noise).tolist()


def test_another_rate_in_mid_stream_begins_after_the_last_of_the_old_one() -> None:
    microphone, parts = Microphone(WIRE), []
    before, after = sine(500, 48_000, 1.0), sine(500, 44_100, 1.0)
    for sound, rate in ((before, 48_000), (after, 44_100), (np.zeros(160), WIRE)):
        for start in range(0, len(sound), 1_001):
            parts += [microphone.feed(rate, sound[start : start + 1_001])]
    out = np.concatenate(parts)
    assert len(out) == 2 * WIRE + 160
    for rate, sound, at in ((48_000, before, 0), (44_100, after, WIRE)):
        alone = resample((sound * 32768).round().astype(np.int16), rate, WIRE)
        assert np.abs(out[at : at + WIRE].astype(int) - alone).max() <= 1


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_what_the_wire_cannot_hold_does_not_come_back_as_another_tone(rate: int) -> None:
    tone = sine(12_000, rate, 1.0, dbfs=-1)
    out = Microphone(WIRE).feed(rate, tone)[WIRE // 10 : -WIRE // 10] / 32768
    assert np.sqrt(np.mean(out**2)) < np.sqrt(np.mean(tone**2)) * 10 ** (-80 / 20)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_ten_minutes_do_not_drift(rate: int) -> None:
    second = sine(997, rate, 1.0).astype(np.float32)
    stream = np.concatenate([second, second])  # any second of it, from any sample on
    sizes = np.random.default_rng(rate).integers(1, rate // 10, 20_000)
    microphone, fed, heard, last = Microphone(WIRE), 0, 0, np.zeros(0, np.int16)
    for count in sizes:
        count = min(int(count), 600 * rate - fed)
        out = microphone.feed(rate, stream[fed % rate : fed % rate + count])
        fed, heard = fed + count, heard + len(out)
        last = np.concatenate([last, out])[-WIRE:]
        assert 0 <= fed * WIRE / rate - heard <= 0.041 * WIRE
    assert fed == 600 * rate
    # Nor has the tone drifted within the count: it is where it would be with no resampling at all.
    ideal = sine(997, WIRE, 1.0) * 32768
    ideal = np.roll(ideal, -(heard % WIRE))
    error = last - ideal
    assert 10 * np.log10(np.mean(error**2) / np.mean(ideal**2)) < -70
    assert thd_n(last, 997, WIRE) < -70
