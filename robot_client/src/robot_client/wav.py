"""WAV files of any rate, any number of channels, and any common sample width.

The standard library's `wave` reads neither float samples nor, before Python 3.12, extensible
headers; the RIFF walk here does. Format: Microsoft's "Multimedia Programming Interface and Data
Specifications 1.0", and `WAVEFORMATEXTENSIBLE`.
"""

from __future__ import annotations

import os
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_client.pcm import PCM, resample, to_pcm

_INTEGER, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_HEADER, _UNKNOWN = 44, 0xFFFFFFFF


class WavError(ValueError):
    """Not a WAV file that can be read; the message says why."""


def read_wav(path: Path) -> tuple[PCM, int]:
    """The sound, channels averaged to mono, and its rate in Hz. Raises `WavError`, `OSError`."""
    try:
        return decode_wav(path.read_bytes())
    except WavError as error:
        raise WavError(f"{path}: {error}") from error


def read_wav_at(path: str | Path, sample_rate: int) -> PCM:
    """The sound as mono at this rate, Hz. Raises `WavError`, `OSError`."""
    sound, rate = read_wav(Path(path))
    return resample(sound, rate, sample_rate)


def decode_wav(data: bytes) -> tuple[PCM, int]:
    """As `read_wav`, of a file's bytes. Raises `WavError`."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise WavError("not a RIFF/WAVE file")
    layout: tuple[int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
        if kind == b"fmt ":
            layout = _format(body)
        elif kind == b"data":
            if layout is None:
                raise WavError("its sound comes before its format")
            # A recorder that was cut off leaves a size that is too large: what is there is taken.
            return _mono(body, layout), layout[2]
    raise WavError("no sound in it")


def _format(body: bytes) -> tuple[int, int, int, int]:
    """(encoding, channels, rate, bytes a sample)."""
    if len(body) < 16:
        raise WavError("its format is cut short")
    encoding, channels, rate, _bytes_s, _block, bits = struct.unpack_from("<HHIIHH", body)
    if encoding == _EXTENSIBLE and len(body) >= 26:
        (encoding,) = struct.unpack_from("<H", body, 24)
    widths = {_INTEGER: (8, 16, 24, 32), _FLOAT: (32, 64)}.get(encoding)
    if widths is None:
        raise WavError(f"compressed (encoding {encoding}); only PCM and float can be read")
    if bits not in widths or not channels or not 1_000 <= rate <= 1_000_000:
        raise WavError(f"{bits} bits, {channels} channels at {rate} Hz can't be read")
    return encoding, channels, rate, bits // 8


def _mono(body: bytes, layout: tuple[int, int, int, int]) -> PCM:
    encoding, channels, _rate, width = layout
    body = body[: len(body) // (width * channels) * width * channels]
    if encoding == _INTEGER and width == 2 and channels == 1:
        return np.frombuffer(body, "<i2").astype(np.int16)
    samples = _floats(body, encoding, width).reshape(-1, channels)
    mono: NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    return to_pcm(np.nan_to_num(mono))


def _floats(body: bytes, encoding: int, width: int) -> NDArray[np.float32]:
    if encoding == _FLOAT:
        return np.frombuffer(body, "<f4" if width == 4 else "<f8").astype(np.float32)
    if width == 1:  # the one unsigned width
        return _scaled(np.frombuffer(body, np.uint8).astype(np.float32) - 128, 128)
    if width == 2:
        return _scaled(np.frombuffer(body, "<i2"), 2**15)
    if width == 3:
        # Three bytes become the upper three of four.
        padded = np.zeros((len(body) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        body = padded.tobytes()
    return _scaled(np.frombuffer(body, "<i4"), 2**31)


def _scaled(numbers: NDArray[Any], full: int) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (numbers / np.float64(full)).astype(np.float32)
    return scaled


def write_wav(path: Path, sample_rate: int, *channels: PCM) -> None:
    """A 16-bit WAV file; shorter channels are filled with silence. Raises `OSError`."""
    length = max(len(channel) for channel in channels)
    block = np.zeros((length, len(channels)), np.int16)
    for number, channel in enumerate(channels):
        block[: len(channel), number] = channel
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(block.astype("<i2").tobytes())


class WavFile:
    """A 16-bit WAV file that grows: its header is put right at each `flush` and at `close`.

    Until the first flush, and past 4 GiB, the header says "unknown" (all ones, as streams do), and
    whoever reads takes what is there. Never overwrites. Raises `OSError` throughout.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int = 1) -> None:
        self._channels = channels
        self._bytes = 0
        self._file = path.open("xb", buffering=0)
        block = channels * 2
        layout = struct.pack(
            "<HHIIHH", _INTEGER, channels, sample_rate, sample_rate * block, block, 16
        )
        head = struct.pack("<4sI4s4sI", b"RIFF", _UNKNOWN, b"WAVE", b"fmt ", len(layout)) + layout
        self._write(head + struct.pack("<4sI", b"data", _UNKNOWN))

    def write(self, *channels: PCM) -> None:
        """Append a block, one array a channel and all of one length."""
        block = np.stack(channels, axis=1).astype("<i2").tobytes()
        self._write(block)
        self._bytes += len(block)

    def flush(self) -> None:
        """Put the header right and everything on the disk, as far as a power cut is concerned."""
        for at, size in ((4, self._bytes + _HEADER - 8), (_HEADER - 4, self._bytes)):
            self._file.seek(at)
            self._write(struct.pack("<I", min(size, _UNKNOWN)))
        self._file.seek(0, os.SEEK_END)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush and close; closed even if that raises. Twice is once."""
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()

    def _write(self, data: bytes) -> None:
        while data:  # a file without a buffer may take a part: a disk that is nearly full
            data = data[self._file.write(data) or 0 :]
