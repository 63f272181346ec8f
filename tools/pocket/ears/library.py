"""The library: every training text spoken by many speakers, and noises, kept as mel power.

Clips are brought to unit RMS, so that levels and signal-to-noise ratios are set when batches are
mixed. Files in the work folder: `clips.f16` (log10 of mel power, [frames, 80], end to end),
`clips.npz` (offsets and text numbers), `texts.json`, and the same pair for noises.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import tomllib
from numpy.typing import NDArray

from brain.ops import check_sounds
from tools.pocket import speech
from tools.pocket.ears.features import FLOOR, MELS, SAMPLE_RATE, mel_power
from tools.pocket.ears.phrases import Phrase

RECIPE = Path(__file__).parents[3] / "brain/pocket/evaluation/ears.toml"
NOISE_KINDS = ("white", "pink", "brown", "hum", "whine", "clicks", "music", "silence")
_NOISE_SECONDS = 6.0


def recipe(path: Path = RECIPE) -> dict[str, Any]:
    """The evaluation recipe: what is held out, and how it is measured."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class TrainingSpeakers:
    """Draws speakers that are not held out."""

    accents: tuple[str, ...]
    variants: tuple[str, ...]
    rates: tuple[int, ...]
    pitches: tuple[int, ...]

    @classmethod
    def outside(cls, held_out: dict[str, Any]) -> TrainingSpeakers:
        """All of espeak-ng's English but the variants, rates and pitches of `held_out`."""
        banned = {*held_out["variants"], *held_out["relations_of_variants"]}
        return cls(
            accents=tuple(held_out["accents"]),
            variants=tuple(v for v in speech.variants() if v not in banned),
            rates=tuple(r for r in range(115, 221) if r not in held_out["rates"]),
            pitches=tuple(p for p in range(15, 91) if p not in held_out["pitches"]),
        )

    def draw(self, rng: random.Random) -> speech.Speaker:
        """A speaker: plain en-us in one of ten, any accent and variant otherwise."""
        if rng.random() < 0.1:
            voice = "en-us"
        else:
            accent = rng.choice(self.accents) if rng.random() < 0.75 else "en-us"
            voice = f"{accent}+{rng.choice(self.variants)}"
        return speech.Speaker(
            voice,
            rate=rng.choice(self.rates),
            pitch=rng.choice(self.pitches),
            pitch_range=rng.randint(25, 75),
            word_gap=rng.choice((0, 0, 0, 0, 1, 2)),
        )


def clip(text: str, speaker: speech.Speaker) -> NDArray[np.float32]:
    """`text` by `speaker` at 16 kHz, unit RMS, without the silence at its ends."""
    raw = speech.say(text, speaker)
    heard = np.flatnonzero(np.abs(raw) > 0.003 * np.abs(raw).max())
    sound = soxr.resample(raw[heard[0] : heard[-1] + 1], speech.sample_rate(), SAMPLE_RATE)
    return check_sounds.unit(sound)


@dataclass(frozen=True)
class Shelf:
    """Sounds end to end: `frames` [n, 80] float16 log10 mel power; sound i is
    `frames[offsets[i]:offsets[i + 1]]` and has the label `labels[i]`."""

    frames: NDArray[np.float16]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)

    def power(self, index: int) -> NDArray[np.float32]:
        """Mel power [frames, 80] of one sound."""
        log = self.frames[self.offsets[index] : self.offsets[index + 1]]
        return np.power(np.float32(10.0), log.astype(np.float32))


def write_shelf(
    folder: Path, name: str, sounds: Iterable[tuple[NDArray[np.float32], int]], total: int
) -> None:
    """Write sounds (unit RMS, 16 kHz) and labels as a shelf, with progress lines."""
    offsets, labels, began = [0], [], time.monotonic()
    with (folder / f"{name}.f16.part").open("wb") as file:
        for samples, label in sounds:
            log = np.log10(np.maximum(mel_power(samples), FLOOR)).astype(np.float16)
            file.write(log.tobytes())
            offsets.append(offsets[-1] + len(log))
            labels.append(label)
            if len(labels) % 5000 == 0:
                left = (time.monotonic() - began) / len(labels) * (total - len(labels))
                print(f"ears: {name} {len(labels)}/{total}, {left:.0f} s left", flush=True)
    (folder / f"{name}.f16.part").replace(folder / f"{name}.f16")
    np.savez(folder / f"{name}.npz", offsets=np.array(offsets), labels=np.array(labels, np.int32))


def read_shelf(folder: Path, name: str) -> Shelf:
    """Map a shelf that `write_shelf` wrote."""
    index = np.load(folder / f"{name}.npz")
    frames = np.memmap(folder / f"{name}.f16", np.float16, "r").reshape(-1, MELS)
    return Shelf(frames, index["offsets"], index["labels"])


def make_clips(folder: Path, phrases: list[Phrase], seed: int) -> None:
    """Speak every phrase its number of times; a third of the clips in a small room."""
    held_out = recipe()["speech"]
    speakers = TrainingSpeakers.outside(held_out)
    rng, sounds = random.Random(seed), np.random.default_rng(seed)
    jobs = [number for number, p in enumerate(phrases) for _ in range(p.clips)]
    rng.shuffle(jobs)

    def spoken() -> Iterable[tuple[NDArray[np.float32], int]]:
        for number in jobs:
            phrase = phrases[number]
            text = phrase.text
            if phrase.family == "number" and rng.random() < 0.5:
                text = text.replace(",", "")
            sound = clip(text, speakers.draw(rng))
            if rng.random() < 0.35:
                sound = np.pad(sound, (0, SAMPLE_RATE // 5))
                decay, near = rng.uniform(0.05, 0.45), rng.uniform(0.05, 1.0)
                sound = check_sounds.in_room(
                    sounds, sound, SAMPLE_RATE, decay_s=decay, distance=near
                )
            yield sound, number

    (folder / "texts.json").write_text(json.dumps([[p.text, p.family] for p in phrases]))
    write_shelf(folder, "clips", spoken(), len(jobs))


def make_noises(folder: Path, phrases: list[Phrase], seed: int, each: int = 110) -> None:
    """Six seconds of every kind of noise, `each` times, and babble of training speakers.

    The label is the kind's place in `NOISE_KINDS`; babble has the number after the last.
    """
    rng, draw = np.random.default_rng(seed), random.Random(seed)
    speakers = TrainingSpeakers.outside(recipe()["speech"])
    samples = int(_NOISE_SECONDS * SAMPLE_RATE)
    voices = [clip(draw.choice(phrases).text, speakers.draw(draw)) for _ in range(300)]
    makers: list[Callable[[], NDArray[np.float32]]] = [
        lambda kind=kind: check_sounds.MAKERS[kind](rng, samples, SAMPLE_RATE)  # type: ignore[misc]
        for kind in NOISE_KINDS
    ]
    makers.append(lambda: check_sounds.babble(rng, voices, samples, int(rng.integers(3, 9))))
    made = ((maker(), label) for _ in range(each) for label, maker in enumerate(makers))
    write_shelf(folder, "noises", made, each * len(makers))
