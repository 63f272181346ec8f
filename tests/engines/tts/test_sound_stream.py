"""A server's sound, cut anywhere: the same samples come out."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from brain.audio.pcm import to_bytes
from brain.engines.tts.sound_stream import PCM_RATE, SoundStream

SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=400).map(
    lambda values: np.array(values, np.int16)
)
CUTS = st.lists(st.integers(1, 97), min_size=1, max_size=20)


def in_pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        for size in cuts:
            yield data[at : at + size]
            at += size


def heard(
    data: bytes, cuts: Sequence[int] = (1_000,), kind: str = ""
) -> tuple[NDArray[np.int16], int]:
    """All samples, and their rate (0: there are none)."""
    stream = SoundStream(kind)
    blocks = [block for piece in in_pieces(data, cuts) for block in stream.feed(piece)]
    blocks += stream.finish()
    assert all(0 < block.seconds <= 0.1 for block in blocks)
    rates = {block.sample_rate for block in blocks}
    assert len(rates) <= 1
    samples = [block.samples for block in blocks]
    return np.concatenate([np.zeros(0, np.int16), *samples]), next(iter(rates), 0)


def wav(samples: NDArray[np.int16], rate: int = 22_050, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(to_bytes(samples))
    return file.getvalue()


@given(SAMPLES, CUTS, st.sampled_from([b"", b"\x7f"]))
def test_bare_pcm(samples: NDArray[np.int16], cuts: Sequence[int], half: bytes) -> None:
    data = to_bytes(samples)
    if data[:1] == b"{" or data[:4] in (b"RIFF", b"OggS", b"fLaC") or data[:3] == b"ID3":
        return
    if data[:2] in (b"\xff\xfb", b"\xff\xf3") or not data:
        return
    found, rate = heard(data + half, cuts)
    assert np.array_equal(found, samples)
    assert rate == PCM_RATE


@given(SAMPLES, CUTS, st.booleans())
def test_a_wav_file_whose_length_is_known_or_not(
    samples: NDArray[np.int16], cuts: Sequence[int], endless: bool
) -> None:
    data = bytearray(wav(samples))
    if endless:
        data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    elif len(samples):
        data += b"LIST\x04\x00\x00\x00INFO"  # no sound
    found, rate = heard(bytes(data), cuts)
    assert np.array_equal(found, samples)
    assert rate == (22_050 if len(samples) else 0)


def test_two_channels_are_mixed_and_floats_are_read() -> None:
    left, right = np.array([100, 200], np.int16), np.array([300, -200], np.int16)
    both = np.stack([left, right], axis=1).reshape(-1)
    assert heard(wav(both, channels=2))[0].tolist() == [200, 0]
    floats = np.array([0.5, -0.25, np.nan, 9.0], "<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 16_000, 64_000, 4, 32)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(floats)) + floats
    found, rate = heard(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert (found.tolist(), rate) == ([16_384, -8_192, 0, 32_767], 16_000)


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ("audio/pcm", PCM_RATE),
        ("audio/L16; rate=16000; channels=1", 16_000),
        ('audio/pcm;rate="22050"', 22_050),
        ("audio/pcm;rate=7", PCM_RATE),
        ("audio/pcm;rate=99999999999999999", PCM_RATE),
    ],
)
def test_the_rate_that_the_server_tells(kind: str, rate: int) -> None:
    assert heard(b"\x01\x00" * 40, kind=kind)[1] == rate


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"ID3\x04 and so on", "", "MP3"),
        (b"OggS and so on", "", "Ogg"),
        (b'{"error": "x"}', "", "JSON"),
        (b"x", "text/html; charset=utf-8", "text/html"),
        (b"x", "application/json", "application/json"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00", "", "doesn't say"),
        (b"RIFF\x00\x00\x00\x00WA", "", "ends in its header"),
        (wav(np.zeros(4, np.int16), rate=1), "", "1 Hz"),
        (b"RIFF\x00\x00\x00\x00WAVEjunk\xff\xff\x00\x7f" + b"\x00" * 20, "", "no sound"),
    ],
)
def test_what_is_neither_is_told(data: bytes, kind: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        heard(data, kind=kind)


@given(
    st.binary(max_size=300),
    CUTS,
    st.sampled_from(
        [b"", b"RIFF\x10\x00\x00\x00WAVE", b"RIFF\x10\x00\x00\x00WAVEfmt \x10\x00\x00\x00"]
    ),
)
def test_any_bytes_are_sound_or_told(data: bytes, cuts: Sequence[int], head: bytes) -> None:
    try:
        heard(head + data, cuts)
    except ValueError as error:
        assert str(error).startswith("it")
