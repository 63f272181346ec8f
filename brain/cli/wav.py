"""WAV files: uncompressed PCM in, 16-bit mono out."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_bytes, to_int16
from brain.audio.resample import Resampler


def read(path: Path, sample_rate: int) -> Audio:
    """The sound of a file at `sample_rate`; several channels are mixed to one.

    Takes PCM of 8, 16, 24 or 32 bits, any rate. Raises ValueError with a sentence for whatever is
    no such file, OSError where it can't be read.
    """
    try:
        with path.open("rb") as raw, wave.open(raw, "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(
            f"{path} isn't a WAV file of plain PCM: {error or 'it ends too early'}"
        ) from error
    if rate <= 0 or width not in (1, 2, 3, 4):
        raise ValueError(f"{path} isn't a WAV file of plain PCM: {rate} Hz, {8 * width} bits")
    # A file that was cut off may end within a frame.
    data = data[: len(data) // (channels * width) * channels * width]
    samples = to_int16(_floats(data, width).reshape(-1, channels).mean(axis=1))
    resampler = Resampler(rate, sample_rate)
    converted = np.concatenate([resampler.push(samples), resampler.flush()])
    return Audio(converted, sample_rate)


def write(path: Path, blocks: list[Audio]) -> None:
    """Write `blocks` one after the other, at the rate of the first. Raises OSError."""
    rate = blocks[0].sample_rate
    with path.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(to_bytes(block.samples) for block in blocks))


def _floats(data: bytes, width: int) -> NDArray[np.float64]:
    """Samples in -1..1 of little-endian PCM; 8 bits are unsigned in a WAV file, the rest signed."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128.0) / 128.0
    if width == 2:
        return np.frombuffer(data, "<i2") / 2.0**15
    if width == 4:
        return np.frombuffer(data, "<i4") / 2.0**31
    triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
    words = np.zeros((len(triples), 4), np.uint8)
    words[:, 1:] = triples
    return words.reshape(-1).view("<i4") / 2.0**31
