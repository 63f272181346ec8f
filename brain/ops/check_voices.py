"""The voices that ears are checked with: espeak-ng's, with any variant, speed and pitch."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_float
from brain.engines.ports import CancelToken, EngineFailed
from brain.engines.tts import espeak
from brain.ops.check_ears import RATE, Sound, Speaker

# speak_lib.h: espeakPITCH, 0 to 99. It stays until it is set again.
_PITCH, _USUAL_PITCH = 3, 50


def speak(text: str, speaker: Speaker) -> Sound:
    """`text` by `speaker`: float32 [n] at 16 kHz.

    Blocks for some 10 ms. Raises `EngineUnavailable` without espeak-ng, `EngineFailed` when it
    says nothing.
    """
    blocks: list[NDArray[np.int16]] = []
    sample_rate = RATE

    def take(block: Audio) -> bool:
        nonlocal sample_rate
        sample_rate = block.sample_rate
        blocks.append(block.samples)
        return True

    # The engine's own library: espeak-ng is one for the process. Its port knows no pitch, because
    # no robot needs one.
    library, _ = espeak._library()
    library.espeak_SetParameter(_PITCH, speaker.pitch, 0)
    try:
        espeak._speak(text, speaker.voice, speaker.rate, CancelToken(), take)
    finally:
        library.espeak_SetParameter(_PITCH, _USUAL_PITCH, 0)
    if not blocks:
        raise EngineFailed(f"espeak-ng said nothing for {text!r} as {speaker}")
    raw = to_float(np.concatenate(blocks))
    return np.asarray(soxr.resample(raw, sample_rate, RATE), np.float32)
