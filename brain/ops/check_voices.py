"""The voices that ears are checked with: espeak-ng's, with any variant, speed and pitch."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_float
from brain.engines.ports import CancelToken, EngineFailed
from brain.engines.tts import espeak
from brain.ops.check_ears import RATE, Sound, Speaker


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

    manner = espeak.Manner(speaker.voice, speaker.rate, speaker.pitch)
    espeak.speak_blocks(text, manner, CancelToken(), take)
    if not blocks:
        raise EngineFailed(f"espeak-ng said nothing for {text!r} as {speaker}")
    raw = to_float(np.concatenate(blocks))
    return np.asarray(soxr.resample(raw, sample_rate, RATE), np.float32)
