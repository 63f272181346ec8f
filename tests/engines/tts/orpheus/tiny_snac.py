"""SNAC's decoder at 24 kHz, from its own architecture by tools/snac: narrow, random weights.

Its noise is off: the same codes are the same sound. As in the real one, a sample hangs on frames
further to the sides than a window of four reaches, so that windows can be told from the whole.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain.engines.tts.orpheus.frames import Frame

_FILE = Path(__file__).with_name("snac_narrow.onnx")
NAMES = ("audio_codes.0", "audio_codes.1", "audio_codes.2")
_LAST_STRIDE = b"strides@\x02"
"""Of the last transposed convolution, and of no other: protobuf's bytes of the attribute."""
CODEBOOK = b"quantizers.0.codebook.weight"


def write_snac(path: Path, *, names: tuple[str, ...] = NAMES, last_stride: int = 2) -> Path:
    """Write the decoder to `path`. `names` are those of its inputs, from the coarsest layer on, as
    long as the original's; `last_stride` 1 makes it another's, of some half as many samples."""
    assert [len(name) for name in names] == [len(name) for name in NAMES]
    other = {old.encode(): new.encode() for old, new in zip(NAMES, names, strict=True)}
    data = re.sub(rb"audio_codes\.\d", lambda found: other[found[0]], _FILE.read_bytes())
    assert data.count(_LAST_STRIDE) == 1
    data = data.replace(_LAST_STRIDE, _LAST_STRIDE[:-1] + bytes([last_stride]))
    path.write_bytes(data)
    return path


def sound_of_its_own() -> tuple[list[Frame], NDArray[np.float32]]:
    """Frames, and what PyPI's `snac` itself makes of them on torch: float32 [n * 2048]."""
    with np.load(_FILE.with_suffix(".npz")) as kept:
        coarse, middle, fine = (kept[name][0].tolist() for name in NAMES)
        sound: NDArray[np.float32] = kept["audio_values"]
    frames = []
    for index, code in enumerate(coarse):
        (b, e), (c, d, f, g) = middle[2 * index :][:2], fine[4 * index :][:4]
        frames.append((code, b, c, d, e, f, g))
    return frames, sound
