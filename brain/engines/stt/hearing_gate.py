"""What Whisper says when nothing was said is not to be answered. Pure."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

# What Whisper models write for silence and noise, from their training on subtitles. People say some
# of these too: they are doubted, not forbidden.
_DOUBTFUL = frozenset(
    {
        "you",
        "thank you",
        "thank you very much",
        "thanks for watching",
        "thank you for watching",
        "please subscribe",
        "bye",
        "bye bye",
        "okay",
        "so",
        "oh",
        "uh",
        "um",
        "hmm",
        "the end",
        "i'm sorry",
        "music",
        "applause",
        "silence",
        "blank audio",
        "subtitles by the amara org community",
    }
)
_WINDOW = 400
"""25 ms at 16 kHz: shorter than a syllable, longer than a click."""
_WORD_WINDOWS = 8

SILENCE_DBFS = -55.0
SHORTEST_S = 0.1
"""Nothing shorter is a word."""
_FAINT_DBFS = -42.0
_NO_SPEECH, _SURE_OF_NO_SPEECH = 0.6, 0.9
_UNSURE, _VERY_UNSURE = -0.7, -1.0
_REPETITIVE = 2.4


def cleaned(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n] in -1..1 of any samples: what isn't a number becomes silence."""
    clean = np.nan_to_num(samples.astype(np.float32, copy=False), posinf=1.0, neginf=-1.0)
    # (What is far out of range would be no number any more within a model.)
    return np.clip(clean, -1.0, 1.0)


def loudness(samples: NDArray[np.float32]) -> float:
    """The level in dBFS that at least 200 ms of the sound reach; -inf for nothing.

    A single click among silence does not count, a short word among silence does. Of sounds below
    400 ms, the median.
    """
    count = len(samples) // _WINDOW
    if count == 0:
        return float("-inf")
    windows = samples[: count * _WINDOW].reshape(count, _WINDOW)
    powers = np.sort(np.mean(np.square(windows, dtype=np.float64), axis=1))
    power = float(powers[-min(_WORD_WINDOWS, count // 2 + 1)])
    return 10.0 * float(np.log10(power)) if power > 0 else float("-inf")


def believable(
    text: str,
    *,
    no_speech_prob: float,
    avg_logprob: float,
    compression_ratio: float,
    level_dbfs: float,
) -> bool:
    """Whether `text` was said, as far as Whisper's own figures and the level tell.

    `no_speech_prob` 0..1, `avg_logprob` natural log a token, `compression_ratio` of the text (a
    text that loops compresses well).
    """
    words = re.sub(r"[^\w' ]+", " ", text.lower()).split()
    if not words:
        return False
    if no_speech_prob > _NO_SPEECH and avg_logprob < _VERY_UNSURE:
        return False
    if compression_ratio > _REPETITIVE and avg_logprob < _UNSURE:
        return False
    if " ".join(words) in _DOUBTFUL:
        doubts = (
            no_speech_prob > _NO_SPEECH,
            no_speech_prob > _SURE_OF_NO_SPEECH,
            avg_logprob < _UNSURE,
            level_dbfs < _FAINT_DBFS,
        )
        return sum(doubts) < 2
    return True
