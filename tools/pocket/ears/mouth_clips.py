"""Training texts spoken by the pocket mouth, for the last part of the ears' training."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from piper import PiperVoice, SynthesisConfig

from brain.ops import check_sounds
from tools.pocket.ears.features import SAMPLE_RATE
from tools.pocket.ears.library import write_shelf
from tools.pocket.ears.phrases import Phrase

_CLIPS = {"phrasing": 4, "small": 4, "cut": 3, "reply": 6}


def spoken(voice: PiperVoice, text: str, slowness: float) -> NDArray[np.float32]:
    """`text` by a Piper voice at 16 kHz, unit RMS; empty when the voice says nothing."""
    config = SynthesisConfig(length_scale=slowness)
    parts = [c.audio_float_array for c in voice.synthesize(text, syn_config=config)]
    if not parts:
        return np.zeros(0, np.float32)
    raw = np.concatenate(parts).astype(np.float32)
    sound = soxr.resample(raw, voice.config.sample_rate, SAMPLE_RATE)
    return check_sounds.unit(np.asarray(sound, np.float32))


def make(folder: Path, phrases: list[Phrase], voice: Path, seed: int) -> None:
    """Write the shelf `mouth`: texts numbered as in `texts.json`, speed varied by 15 %."""
    rng, mouth = random.Random(seed), PiperVoice.load(voice)
    jobs = [n for n, p in enumerate(phrases) for _ in range(_CLIPS.get(p.family, 0))]
    rng.shuffle(jobs)

    def sounds() -> Iterable[tuple[NDArray[np.float32], int]]:
        for number in jobs:
            sound = spoken(mouth, phrases[number].text, rng.uniform(0.85, 1.15))
            if sound.size:
                yield sound, number

    write_shelf(folder, "mouth", sounds(), len(jobs))
