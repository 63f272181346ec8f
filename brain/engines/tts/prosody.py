"""How an emotion sounds: pace, pitch and melody as small factors on the neutral voice. Pure.

The directions are those that listeners agree on (Murray and Arnott 1993, "Toward the simulation of
emotion in synthetic speech", JASA 93): joy and fear are faster, higher and livelier than neutral
speech, sadness slower, lower and flatter. The sizes are small: a robot among children neither
shouts nor whines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from brain.engines.ports import Emotion


@dataclass(frozen=True)
class Prosody:
    """Factors on the neutral voice: `rate` of speech, `pitch` (fundamental frequency), and
    `variation` of pitch within a sentence. 1 is the voice as it is."""

    rate: float = 1.0
    pitch: float = 1.0
    variation: float = 1.0


NEUTRAL = Prosody()

# At intensity 1; neutral isn't here, and neither is what nobody knows.
_FULL: Mapping[str, Prosody] = MappingProxyType(
    {
        "happy": Prosody(rate=1.08, pitch=1.12, variation=1.4),
        "excited": Prosody(rate=1.18, pitch=1.22, variation=1.7),
        "curious": Prosody(rate=1.0, pitch=1.08, variation=1.3),
        "sad": Prosody(rate=0.82, pitch=0.90, variation=0.6),
        "scared": Prosody(rate=1.14, pitch=1.20, variation=1.2),
        "angry": Prosody(rate=1.08, pitch=0.94, variation=1.3),
        "surprised": Prosody(rate=1.08, pitch=1.24, variation=1.7),
        "sleepy": Prosody(rate=0.74, pitch=0.88, variation=0.5),
        "love": Prosody(rate=0.90, pitch=1.04, variation=1.2),
        "silly": Prosody(rate=1.08, pitch=1.18, variation=1.8),
        "thinking": Prosody(rate=0.86, pitch=0.97, variation=0.8),
        "confused": Prosody(rate=0.90, pitch=1.05, variation=1.2),
    }
)


def prosody(emotion: Emotion | None) -> Prosody:
    """The factors of `emotion`: at intensity 0 none at all, at 1 all of them, in even steps to the
    ear (powers) in between. An intensity out of 0..1 is the nearest one; NaN is 0."""
    full = _FULL.get(emotion.name) if emotion is not None else None
    if emotion is None or full is None:
        return NEUTRAL
    much = min(max(0.0, emotion.intensity), 1.0)  # (In this order NaN loses.)
    return Prosody(full.rate**much, full.pitch**much, full.variation**much)
