"""What the pocket ears hear when the pocket mouth speaks: `python -m tools.pocket.mouth.listen`."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import numpy as np
import soxr
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from piper import PiperVoice

from .corpus import REPERTOIRE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

POCKET = Path(__file__).resolve().parents[3] / "brain" / "pocket"
HEARING_RATE = 16_000
PAUSE_S = 0.3
"""Silence before and after, as the brain's pre-roll and end-pointing leave it."""


def plain(text: str) -> str:
    """Lower case, letters, digits and apostrophes only: what counts as exactly heard."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower().replace("-", " ")).split())


def said(voice: PiperVoice, text: str) -> NDArray[np.float32]:
    """`text` as unmodified piper says it, float32 at 16 kHz with silence around it."""
    chunks = [chunk.audio_float_array for chunk in voice.synthesize(text)]
    pause = np.zeros(round(PAUSE_S * HEARING_RATE), np.float32)
    sound = soxr.resample(np.concatenate(chunks), voice.config.sample_rate, HEARING_RATE)
    return np.concatenate([pause, 0.6 * sound.astype(np.float32), pause])


def heard(ears: WhisperModel, sound: NDArray[np.float32]) -> str:
    """The transcript, with the settings of the brain's fast path."""
    segments, _ = ears.transcribe(
        sound,
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        condition_on_previous_text=False,
    )
    return "".join(segment.text for segment in segments)


def main() -> None:
    """Print what was misheard and the share that was heard exactly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voice", type=Path, default=POCKET / "voice.onnx")
    parser.add_argument("--ears", type=Path, default=POCKET / "ears")
    parser.add_argument("--every", type=int, default=1, help="take every n-th phrase")
    parser.add_argument("--replies", action="store_true", help="the mind's replies, too")
    arguments = parser.parse_args()
    repertoire = tomllib.loads(REPERTOIRE.read_text(encoding="utf-8"))
    phrases = [p for intent in repertoire["intent"] for p in intent["phrasings"]]
    if arguments.replies:
        phrases += [reply for reply in repertoire["replies"] if "{" not in reply]
    phrases = phrases[:: arguments.every]
    voice = PiperVoice.load(arguments.voice)
    ears = WhisperModel(str(arguments.ears), device="cpu", compute_type="int8", cpu_threads=1)
    right, seconds, spent = 0, 0.0, 0.0
    for phrase in phrases:
        began = time.perf_counter()
        sound = said(voice, phrase)
        spent += time.perf_counter() - began
        seconds += len(sound) / HEARING_RATE - 2 * PAUSE_S
        text = heard(ears, sound)
        if plain(text) == plain(phrase):
            right += 1
        else:
            print(f"  said {phrase!r}, heard {text.strip()!r}")
    share = right / len(phrases)
    print(
        f"heard exactly: {right} of {len(phrases)} ({share:.1%}); real-time factor "
        f"{spent / seconds:.3f}"
    )


if __name__ == "__main__":
    main()
