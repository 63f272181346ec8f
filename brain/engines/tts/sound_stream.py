"""Sound as a server sends it, in pieces cut anywhere: bare PCM or a WAV file. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_int16

PCM_RATE = 24_000
"""Hz, of bare PCM where the server doesn't say: that of OpenAI's API."""
_BLOCKS_PER_SECOND = 10
_INT, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# Of a file whose length wasn't known when its header was sent.
_ENDLESS = 0x7FFF_0000
_MOST_HEADER = 65_536
_RATES = range(8_000, 96_001)
_OTHER_FORMATS = {
    b"ID3": "MP3", b"\xff\xfb": "MP3", b"\xff\xf3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC",
    b"{": "JSON",
}  # fmt: skip


@dataclass(frozen=True)
class _Form:
    """How the samples lie: `dtype` as numpy names it, `channels` side by side, `rate` in Hz."""

    dtype: str
    channels: int
    rate: int


class SoundStream:
    """Feed it the bytes in order; gives blocks of 100 ms, the last one shorter.

    `content_type` is the answer's. Raises ValueError, in words, for what is neither PCM nor WAV.
    """

    def __init__(self, content_type: str = "") -> None:
        kind, _, rest = content_type.lower().partition(";")
        kind = kind.strip()
        if kind.startswith("text/") or kind in ("application/json", "audio/mpeg", "audio/ogg"):
            raise ValueError(f"it sends {kind}, neither PCM nor WAV")
        self._rate = _rate_in(rest)
        self._form: _Form | None = None
        self._bytes = bytearray()
        self._left = _ENDLESS
        self._samples = np.zeros(0, np.int16)

    def feed(self, data: bytes) -> list[Audio]:
        """What is whole by now."""
        self._bytes += data
        if self._form is None:
            self._form = self._begin()
        if self._form is None:
            return []
        frame = np.dtype(self._form.dtype).itemsize * self._form.channels
        size = min(len(self._bytes), self._left) // frame * frame
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        if self._left < _ENDLESS:
            self._left -= size
            if self._left < frame:
                self._left = 0  # whatever follows is no sound
        self._samples = np.concatenate([self._samples, _mono(taken, self._form)])
        return self._blocks(self._form.rate // _BLOCKS_PER_SECOND)

    def finish(self) -> list[Audio]:
        """The rest. Half a sample at the end is none."""
        blocks = [] if self._form is not None else self._few_bytes()
        if len(self._samples):
            assert self._form is not None
            blocks.append(Audio(self._samples, self._form.rate))
            self._samples = np.zeros(0, np.int16)
        return blocks

    def _few_bytes(self) -> list[Audio]:
        """Of an answer too short for any header."""
        if self._bytes.startswith(b"RIFF"):
            raise ValueError("its WAV file ends in its header")
        self._form = _Form("<i2", 1, self._rate)
        return self.feed(b"")

    def _blocks(self, step: int) -> list[Audio]:
        assert self._form is not None
        whole = len(self._samples) // step * step
        blocks = [
            Audio(self._samples[at : at + step], self._form.rate) for at in range(0, whole, step)
        ]
        self._samples = self._samples[whole:]
        return blocks

    def _begin(self) -> _Form | None:
        """The form, and the bytes before the first sample are dropped; None: too few as yet."""
        for magic, name in _OTHER_FORMATS.items():
            if self._bytes.startswith(magic):
                # (The first samples of PCM may be anything; these would be a loud click.)
                raise ValueError(f"it sends {name}, neither PCM nor WAV")
        if len(self._bytes) < 12:
            return None
        if self._bytes[:4] != b"RIFF" or self._bytes[8:12] != b"WAVE":
            return _Form("<i2", 1, self._rate)
        return self._header()

    def _header(self) -> _Form | None:
        at, form = 12, None
        while at + 8 <= len(self._bytes):
            name, size = bytes(self._bytes[at : at + 4]), _u32(self._bytes, at + 4)
            if name == b"data":
                if form is None:
                    raise ValueError("its WAV file doesn't say what is in it")
                self._left = size if 0 < size < _ENDLESS else _ENDLESS
                del self._bytes[: at + 8]
                return form
            if name == b"fmt " and at + 24 <= len(self._bytes):
                form = _form_of(bytes(self._bytes[at + 8 : at + 8 + max(16, size)]))
            at += 8 + size + size % 2
            if at > _MOST_HEADER:
                raise ValueError("its WAV file has no sound near its beginning")
        return None


def _u32(data: bytes | bytearray, at: int) -> int:
    value: int = struct.unpack_from("<I", data, at)[0]
    return value


def _form_of(chunk: bytes) -> _Form:
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == _EXTENSIBLE and len(chunk) >= 26:
        code = struct.unpack_from("<H", chunk, 24)[0]
    dtype = {(_INT, 16): "<i2", (_INT, 32): "<i4", (_FLOAT, 32): "<f4"}.get((code, bits))
    if dtype is None or not 1 <= channels <= 8 or rate not in _RATES:
        raise ValueError(
            f"its WAV file has format {code} with {bits} bits, {channels} channels, {rate} Hz"
        )
    return _Form(dtype, channels, rate)


def _mono(data: bytes, form: _Form) -> NDArray[np.int16]:
    frames = np.frombuffer(data, form.dtype).reshape(-1, form.channels)
    if form.dtype == "<i2" and form.channels == 1:
        return frames[:, 0].astype(np.int16)
    scale = {"<i2": 2.0**15, "<i4": 2.0**31, "<f4": 1.0}[form.dtype]
    mixed = np.nan_to_num(frames.mean(axis=1, dtype=np.float64) / scale)
    return to_int16(mixed)


def _rate_in(parameters: str) -> int:
    """The rate in what follows a content type (`audio/pcm;rate=22050`)."""
    for one in parameters.split(";"):
        name, _, value = one.partition("=")
        number = value.strip().strip('"')
        if name.strip() in ("rate", "sample_rate") and number.isascii() and number.isdigit():
            rate = int(number[:9])
            return rate if rate in _RATES else PCM_RATE
    return PCM_RATE
