"""Reading, writing and measuring sound."""

from __future__ import annotations

import itertools
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_client.pcm import (
    Resampler,
    from_bytes,
    resample,
    room_noise,
    speech_bounds,
    to_bytes,
    to_float,
    to_pcm,
)
from robot_client.wav import WavError, decode_wav, read_wav, write_wav


def riff(
    encoding: int, channels: int, rate: int, bits: int, body: bytes, extra: bytes = b""
) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", encoding, channels, rate, rate * block, block, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"junk" + struct.pack("<I", 3) + b"abc\0"  # odd chunks are padded
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


WAVE = np.sin(np.arange(400) / 7) * 0.5


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(
    ("encoding", "bits", "body", "tolerance"),
    [
        (1, 8, (WAVE * 127 + 128).round().astype(np.uint8), 300),
        (1, 16, (WAVE * 32767).round().astype("<i2"), 1),
        (1, 24, None, 1),
        (1, 32, (WAVE * 2147483647).round().astype("<i4"), 1),
        (3, 32, WAVE.astype("<f4"), 1),
        (3, 64, WAVE.astype("<f8"), 1),
    ],
)
@pytest.mark.parametrize("extensible", [False, True])
def test_every_width_and_channel_count_gives_the_same_sound(
    channels: int, encoding: int, bits: int, body: np.ndarray, tolerance: int, extensible: bool
) -> None:
    if body is None:
        wide = (WAVE * 8388607).round().astype("<i4")
        body = wide.view(np.uint8).reshape(-1, 4)[:, :3]
    many = np.repeat(body[:, None], channels, axis=1)
    extra = b""
    if extensible:
        extra = struct.pack("<HHIH", 22, bits, 0, encoding) + b"\0" * 14
    tag = 0xFFFE if extensible else encoding
    pcm, rate = decode_wav(riff(tag, channels, 44_100, bits, many.tobytes(), extra))
    assert rate == 44_100
    assert pcm.shape == (400,)
    assert np.abs(pcm - np.rint(WAVE * 32767)).max() <= tolerance


@given(st.binary(max_size=120))
def test_no_bytes_do_worse_than_a_wav_error(data: bytes) -> None:
    for attempt in (data, b"RIFF\0\0\0\0WAVE" + data, riff(1, 1, 8000, 16, data)):
        try:
            pcm, rate = decode_wav(attempt)
        except WavError:
            continue
        assert pcm.dtype == np.int16
        assert rate > 0


def test_a_compressed_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(6, 1, 8000, 8, b"\0"))
    with pytest.raises(WavError, match=r"a\.wav.*compressed"):
        read_wav(path)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "both.wav"
    left, right = np.arange(5, dtype=np.int16), np.arange(3, dtype=np.int16)
    write_wav(path, 16_000, left, right)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 16_000, 5)
        frames = np.frombuffer(file.readframes(5), "<i2").reshape(5, 2)
    assert frames.tolist() == [[0, 0], [1, 1], [2, 2], [3, 0], [4, 0]]
    write_wav(path, 22_050, left)
    assert read_wav(path)[0].tolist() == left.tolist()


def test_conversions_lose_nothing() -> None:
    pcm = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(from_bytes(to_bytes(pcm)), pcm)
    assert np.array_equal(to_pcm(to_float(pcm)), pcm)
    assert to_float(pcm).min() == -1.0
    # A device whose converter has 16 bits and whose library gives floats divides by 32768.
    assert np.array_equal(to_pcm(pcm.astype(np.float32) / np.float32(32768)), pcm)


def test_too_loud_is_clipped_and_does_not_wrap() -> None:
    assert to_pcm(np.array([2.0, -2.0], np.float32)).tolist() == [32767, -32768]


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100, 48_000])
def test_a_stream_in_chunks_is_the_whole(rate: int) -> None:
    pcm = to_pcm((np.sin(np.arange(rate) * 2 * np.pi * 300 / rate) * 0.5).astype(np.float32))
    whole = resample(pcm, rate, 16_000)
    assert len(whole) == 16_000
    stream = Resampler(rate, 16_000)
    cuts = [0, 1, 500, 501, 4000, len(pcm)]
    parts = [stream.feed(pcm[a:b]) for a, b in itertools.pairwise(cuts)]
    parts.append(stream.feed(pcm[:0], last=True))
    chunked = np.concatenate(parts)
    assert np.array_equal(chunked, whole)


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100, 48_000])
def test_what_comes_after_the_last_is_a_new_stream(rate: int) -> None:
    pcm = to_pcm(room_noise(1001, -20))
    stream = Resampler(rate, 16_000)
    for _ in range(3):
        out = stream.feed(pcm)
        held = stream.held
        rest = stream.feed(pcm[:0], last=True)
        assert len(rest) == held > 0
        assert stream.held == 0
        assert np.array_equal(np.concatenate([out, rest]), resample(pcm, rate, 16_000))
        assert len(out) + len(rest) == int(len(pcm) * 16_000 / rate + 0.5)


def test_room_noise_has_its_level_and_no_seam() -> None:
    noise = room_noise(160_000, -60)
    assert 20 * np.log10(np.sqrt(np.mean(noise**2))) == pytest.approx(-60, abs=0.1)
    steps = np.abs(np.diff(np.concatenate([noise, noise])))
    assert steps[len(noise) - 1] <= steps.max()
    assert np.array_equal(noise, room_noise(160_000, -60))
    assert room_noise(0, -60).shape == (0,)


def test_where_speech_is() -> None:
    quiet, loud = np.zeros(8000, np.int16), to_pcm(np.sin(np.arange(4000)).astype(np.float32) * 0.3)
    pcm = np.concatenate([quiet, loud, quiet, loud // 10, quiet])
    assert speech_bounds(pcm, 16_000) == (8000, 24_000)
    assert speech_bounds(quiet, 16_000) == (0, 0)
    assert speech_bounds(quiet[:3], 16_000) == (0, 0)
    hiss = to_pcm(room_noise(len(pcm), -62))
    assert speech_bounds(pcm + hiss, 16_000) == (8000, 24_000)
