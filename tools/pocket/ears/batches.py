"""Training batches: clips joined, coloured, set among silence and noise, all on mel power."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.pocket.ears.features import FLOOR, MELS, finished
from tools.pocket.ears.library import NOISE_KINDS, read_shelf

Power = NDArray[np.float32]
_FRAMES_A_SECOND = 100
_MAX_FRAMES = 900
_BATCH_FRAMES = 7600
_POOL = 512
_EXTRA = 0.12
# How often a clip of a family is drawn, relative to the others. Digits, which no context foretells,
# need the most; so do the smallest sounds.
_DRAWN = {"number": 3.0, "small": 1.6, "prefix": 1.5, "reply": 1.5}


@dataclass(frozen=True)
class Example:
    """Features [frames, 80] float32 and the text to be written, empty for non-speech."""

    features: NDArray[np.float32]
    text: str


class Mixer:
    """Composes examples from the shelves in a folder; a seed gives a sequence."""

    def __init__(self, folder: Path, seed: int, extra: str | None = None) -> None:
        self._rng = np.random.default_rng(seed)
        self._texts: list[tuple[str, str]] = [
            (text, family) for text, family in json.loads((folder / "texts.json").read_text())
        ]
        self._clips = read_shelf(folder, "clips")
        self._noises = read_shelf(folder, "noises")
        self._extra = read_shelf(folder, extra) if extra else None
        weights = np.array([_DRAWN.get(family, 1.0) for _, family in self._texts])
        shelves = [self._clips] + ([self._extra] if self._extra else [])
        self._drawn = [np.cumsum(weights[shelf.labels]) for shelf in shelves]
        dictated = np.array([family == "number" for _, family in self._texts])
        self._digits = np.flatnonzero(dictated[self._clips.labels])
        kinds = self._noises.labels
        self._floors = np.flatnonzero(kinds <= NOISE_KINDS.index("brown"))
        self._non_speech = np.flatnonzero(kinds < len(NOISE_KINDS))

    def example(self) -> Example:
        """One example: 10 % non-speech, 18 % two utterances, else one."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.10:
            return Example(finished(self._nothing()), "")
        power, text = self._utterance()
        if draw < 0.28 and len(power) < 450:
            other, more = self._utterance()
            gap = np.zeros((int(rng.integers(15, 75)), MELS), np.float32)
            level = np.float32(10.0 ** (rng.uniform(-4.0, 4.0) / 10.0))
            if len(power) + len(gap) + len(other) < _MAX_FRAMES - 170:
                power = np.concatenate([power, gap, other * level])
                text = joined(text, more)
        long_wait = rng.random() < 0.03 and len(power) < 400
        before = rng.random() ** 2 * (400 if long_wait else 85)
        after = rng.random() ** 2 * 85
        power = np.pad(power, ((int(before), int(after)), (0, 0)))
        return Example(finished(self._among_noise(power)), text)

    def _utterance(self) -> tuple[Power, str]:
        power, text, family = self._clip()
        if family == "number" and self._rng.random() < 0.6:
            # Two dictations make a third: there are far more of them than were spoken.
            other, more, _ = self._clip(int(self._rng.choice(self._digits)))
            if text.count(",") + more.count(",") < 6:
                gap = np.zeros((int(self._rng.integers(4, 40)), MELS), np.float32)
                power = np.concatenate([power, gap, other])
                text = f"{text[:-1]}, {more.lower()}"
        return power, text

    def _clip(self, chosen: int | None = None) -> tuple[Power, str, str]:
        rng = self._rng
        shelf, drawn = self._clips, self._drawn[0]
        if self._extra is not None and rng.random() < _EXTRA:
            shelf, drawn = self._extra, self._drawn[1]
        index = int(np.searchsorted(drawn, rng.random() * drawn[-1]))
        if chosen is not None:
            shelf, index = self._clips, chosen
        text, family = self._texts[shelf.labels[index]]
        power = shelf.power(index)
        if rng.random() < 0.3:
            count = int(len(power) * rng.uniform(0.9, 1.12))
            power = power[np.linspace(0, len(power) - 1, count).round().astype(np.int64)]
        if rng.random() < 0.12 and len(power) > 60:
            power = with_pause(rng, power)
        if rng.random() < 0.35:
            power = warped(power, rng.uniform(0.93, 1.07))
        if rng.random() < 0.7:
            power = power * colour(rng)
        if rng.random() < 0.15:
            edge = int(rng.integers(52, 66))
            power = power.copy()
            power[:, edge:] *= np.float32(10.0 ** -rng.uniform(3.0, 8.0))
        if rng.random() < 0.15:
            power = blurred(power)
        return power, text, family

    def _crop(self, choices: NDArray[np.int64], frames: int) -> Power:
        power = self._noises.power(int(self._rng.choice(choices)))
        start = int(self._rng.integers(0, len(power)))
        return power[(start + np.arange(frames)) % len(power)]

    def _among_noise(self, power: Power) -> Power:
        rng, frames = self._rng, len(power)
        total = power
        if rng.random() < 0.85:
            floor = self._crop(self._floors, frames)
            total = total + floor * np.float32(10.0 ** -rng.uniform(2.5, 7.0))
        if rng.random() < 0.5:
            noise = self._crop(np.arange(len(self._noises)), frames) * colour(rng)
            total = total + noise * np.float32(10.0 ** (-rng.uniform(4.0, 32.0) / 10.0))
        if rng.random() < 0.2:
            start = int(rng.integers(0, frames))
            total = total.copy()
            total[start : start + int(rng.integers(2, 7))] *= np.float32(1e-4)
        return total * np.float32(10.0 ** (rng.uniform(-52.0, -14.0) / 10.0)) + np.float32(FLOOR)

    def _nothing(self) -> Power:
        rng = self._rng
        frames = int(rng.integers(25, 620))
        power = self._crop(self._non_speech, frames) * colour(rng)
        if rng.random() < 0.4:
            level = np.float32(10.0 ** rng.uniform(-3.0, 1.0))
            power = power + self._crop(self._non_speech, frames) * level
        if rng.random() < 0.3:  # a sound that begins and ends
            start, end = sorted(rng.integers(0, frames, size=2))
            power = power.copy()
            power[:start] *= np.float32(1e-6)
            power[end:] *= np.float32(1e-6)
        return power * np.float32(10.0 ** (rng.uniform(-70.0, -14.0) / 10.0)) + np.float32(FLOOR)


def joined(first: str, second: str) -> str:
    """Two utterances in one text; what follows an unfinished one goes on in lower case."""
    if first[-1] in ".!?" or second.split(maxsplit=1)[0] in ("I", "I'm"):
        return f"{first} {second}"
    return f"{first} {second[0].lower()}{second[1:]}"


def with_pause(rng: np.random.Generator, power: Power) -> Power:
    """`power` with 0.08 to 0.35 s of silence put in at its quietest inner point."""
    energy = power.sum(axis=1)
    inner = slice(len(power) // 5, -len(power) // 5)
    at = len(power) // 5 + int(np.argmin(np.convolve(energy[inner], np.ones(3), "same")))
    gap = np.zeros((int(rng.integers(8, 35)), MELS), np.float32)
    return np.concatenate([power[:at], gap, power[at:]])


def warped(power: Power, factor: float) -> Power:
    """`power` with its mel axis stretched by `factor`: a shorter or longer vocal tract."""
    place = np.clip(np.arange(MELS) * factor, 0, MELS - 1.001)
    low = place.astype(np.int64)
    part = (place - low).astype(np.float32)
    return power[:, low] * (1 - part) + power[:, low + 1] * part


def colour(rng: np.random.Generator) -> Power:
    """A smooth frequency response [80], as power gains: a tilt and a few soft humps."""
    axis = np.linspace(0.0, 1.0, MELS)
    db = rng.uniform(-8.0, 8.0) * (axis - 0.5)
    for cycles in (1, 2, 3):
        db += rng.uniform(-3.0, 3.0) * np.sin(2 * np.pi * (cycles * axis + rng.random()))
    return np.power(10.0, db / 10.0).astype(np.float32)


def blurred(power: Power) -> Power:
    """`power` smeared over three mels, as a vocoder's smooth envelope does."""
    wide = np.pad(power, ((0, 0), (1, 1)), mode="edge")
    return 0.25 * wide[:, :-2] + 0.5 * wide[:, 1:-1] + 0.25 * wide[:, 2:]


def batches(mixer: Mixer, seed: int) -> Iterator[list[Example]]:
    """Endless batches of examples of like length, about 76 s of sound each, in random order."""
    rng = np.random.default_rng(seed)
    while True:
        pool = sorted((mixer.example() for _ in range(_POOL)), key=lambda e: len(e.features))
        groups: list[list[Example]] = [[]]
        for example in pool:
            if (len(groups[-1]) + 1) * len(example.features) > _BATCH_FRAMES:
                groups.append([])
            groups[-1].append(example)
        for number in rng.permutation(len(groups)):
            yield groups[number]
