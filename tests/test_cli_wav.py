"""WAV files as the commands read and write them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from brain.audio.pcm import Audio
from brain.cli import wav


def save(path: Path, samples: np.ndarray, *, width: int, channels: int, rate: int) -> None:
    """Samples float [n] in -1..1, put on every channel."""
    scaled = np.round(np.repeat(samples, channels) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        scaled += 128
    data = b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in scaled)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_width_and_number_of_channels_gives_the_same_sound(
    tmp_path: Path, width: int, channels: int
) -> None:
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(1600) / 16000)
    save(tmp_path / "in.wav", sine, width=width, channels=channels, rate=16000)
    audio = wav.read(tmp_path / "in.wav", 16000)
    assert len(audio.samples) == 1600
    error = np.abs(audio.samples / 32768 - sine).max()
    assert error < (0.01 if width == 1 else 0.0001)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_rate_becomes_the_one_asked_for(tmp_path: Path, rate: int) -> None:
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    save(tmp_path / "in.wav", sine, width=2, channels=1, rate=rate)
    audio = wav.read(tmp_path / "in.wav", 16000)
    assert audio.seconds == pytest.approx(1.0, abs=0.001)
    spectrum = np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples))))
    assert np.argmax(spectrum) * 16000 / len(audio.samples) == pytest.approx(440, abs=2)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    samples = np.arange(-1000, 1000, dtype=np.int16)
    wav.write(tmp_path / "out.wav", [Audio(samples[:700], 22050), Audio(samples[700:], 22050)])
    np.testing.assert_array_equal(wav.read(tmp_path / "out.wav", 22050).samples, samples)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wave file at all, but text"])
def test_what_is_no_wav_file_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(ValueError, match="isn't a WAV file of plain PCM"):
        wav.read(tmp_path / "x.wav", 16000)


def test_a_file_that_was_cut_off_gives_what_there_is(tmp_path: Path) -> None:
    save(tmp_path / "x.wav", np.zeros(1000), width=2, channels=2, rate=16000)
    whole = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "x.wav").write_bytes(whole[:-1001])
    assert 700 < len(wav.read(tmp_path / "x.wav", 16000).samples) < 1000
