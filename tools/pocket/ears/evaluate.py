"""Measures the ears through faster-whisper by the recipe in `brain/pocket/evaluation/ears.toml`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from piper import PiperVoice

from brain.ops import check_sounds
from tools.pocket import speech
from tools.pocket.ears.mouth_clips import spoken
from tools.pocket.ears.phrases import normalised

Sound = NDArray[np.float32]


@dataclass
class Score:
    """Right of asked, the mistakes (wanted, heard, where), and milliseconds a call."""

    name: str
    right: int = 0
    asked: int = 0
    mistakes: list[tuple[str, str, str]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Share of right answers, 0 when nothing was asked."""
        return self.right / self.asked if self.asked else 0.0

    def line(self) -> str:
        """One line for people."""
        ms = float(np.median(self.milliseconds)) if self.milliseconds else 0.0
        return f"{self.name:<22} {self.share:7.2%}  {self.right:>5}/{self.asked:<5} {ms:5.0f} ms"


class Cut(WhisperModel):  # type: ignore[misc]  # it has no types
    """Encodes `frames` frames of the 3000 (10 ms each), as the brain's adapter makes it do."""

    frames = 3000

    def encode(self, features: NDArray[np.float32]) -> Any:
        """As `WhisperModel.encode`, on the window's beginning."""
        return super().encode(features[..., : self.frames])


class Listener:
    """The ears through faster-whisper, gate included.

    whole: the 30 s window that faster-whisper pads to; else cut a second after the sound.
    """

    def __init__(self, folder: Path, gate: dict[str, float], *, whole: bool) -> None:
        self._whole = whole
        self._model = Cut(
            str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
        )
        self._gate = gate

    def hear(self, samples: Sound) -> str:
        """Text of mono 16 kHz `samples`; empty when the gate says that nobody spoke."""
        if not self._whole:
            self._model.frames = min(3000, len(samples) // 160 + 100)
        segments, _ = self._model.transcribe(
            samples,
            language="en",
            beam_size=1,
            temperature=0,
            without_timestamps=True,
            condition_on_previous_text=False,
        )
        return " ".join(
            s.text.strip()
            for s in segments
            if s.no_speech_prob <= self._gate["no_speech_prob_above"]
            and s.avg_logprob >= self._gate["avg_logprob_below"]
        )

    def score(self, name: str, clips: Iterable[tuple[str, str, Sound]]) -> Score:
        """Hear (wanted, where, samples); right is the same text but for case and punctuation."""
        score = Score(name)
        for wanted, where, samples in clips:
            began = time.perf_counter()
            heard = self.hear(samples)
            score.milliseconds.append((time.perf_counter() - began) * 1e3)
            score.asked += 1
            if normalised(heard) == normalised(wanted):
                score.right += 1
            else:
                score.mistakes.append((wanted, heard, where))
        return score


def held_out(recipe: dict[str, Any], index: int) -> speech.Speaker:
    """Speaker number `index` of the held-out ones; neighbours differ in everything."""
    rng = np.random.default_rng((recipe["seed"], index))
    accent, variant = rng.choice(recipe["accents"]), rng.choice(recipe["variants"])
    rate, pitch = int(rng.choice(recipe["rates"])), int(rng.choice(recipe["pitches"]))
    return speech.Speaker(f"{accent}+{variant}", rate, pitch)


def voiced(recipe: dict[str, Any], text: str, index: int) -> tuple[str, Sound]:
    """`text` by held-out speaker `index`: who it was, and 16 kHz samples at the recipe's peak."""
    who = held_out(recipe, index)
    rate = int(recipe["sample_rate"])
    raw = soxr.resample(speech.say(text, who), speech.sample_rate(), rate)
    sound = np.asarray(raw * (recipe["peak"] / np.abs(raw).max()), np.float32)
    return f"{who.voice} {who.rate} {who.pitch}", sound


def phrases_aloud(
    recipe: dict[str, Any],
    texts: Sequence[str],
    repeats: int,
    first: int,
    change: Callable[[np.random.Generator, Sound, int], Sound] = lambda _rng, sound, _n: sound,
) -> Iterable[tuple[str, str, Sound]]:
    """Every text `repeats` times, each by another speaker, put in silence and then changed.

    first: number of the first speaker, so that conditions don't share speakers.
    """
    rate = int(recipe["sample_rate"])
    for number, text in enumerate(t for t in texts for _ in range(repeats)):
        index = first + number
        who, sound = voiced(recipe, text, index)
        lead, tail = recipe["lead_s"], recipe["tail_s"]
        around = (lead[number % len(lead)], tail[number % len(tail)])
        rng = np.random.default_rng((recipe["seed"], 7, index))
        yield text, who, check_sounds.padded(change(rng, sound, number), *around, rate)


def nothings(recipe: dict[str, Any], seed: int, rate: int) -> Iterable[tuple[str, str, Sound]]:
    """Non-speech clips by the recipe's section `nothing`; the wanted text is empty."""
    for kind in recipe["kinds"]:
        for repeat in range(recipe["repeats"]):
            rng = np.random.default_rng((seed, recipe["kinds"].index(kind), repeat))
            seconds = recipe["seconds"][repeat % len(recipe["seconds"])]
            level = recipe["levels_db"][repeat % len(recipe["levels_db"])]
            sound = check_sounds.MAKERS[kind](rng, int(seconds * rate), rate)
            scaled = sound if kind == "silence" else check_sounds.gain(sound, level)
            yield "", f"{kind} {seconds} s {level} dB", scaled


def in_noise(recipe: dict[str, Any]) -> Callable[[np.random.Generator, Sound, int], Sound]:
    """Adds the recipe's noises, kind by kind, at its signal-to-noise ratio."""
    kinds, snr = recipe["noise"]["kinds"], float(recipe["noise"]["snr_db"])
    rate = int(recipe["speech"]["sample_rate"])
    others = ("The weather was cold and grey.", "She bought seven apples at the market.",
              "Nobody knows where the old road ends.", "We have to paint the kitchen.")  # fmt: skip
    talk = [voiced(recipe["speech"], t, 900_000 + i)[1] for i, t in enumerate(others * 3)]

    def change(rng: np.random.Generator, sound: Sound, number: int) -> Sound:
        kind = kinds[number % len(kinds)]
        if kind == "babble":
            noise = check_sounds.babble(rng, talk, len(sound))
        else:
            noise = check_sounds.MAKERS[kind](rng, len(sound), rate)
        return check_sounds.mix_at_snr(sound, noise, snr)

    return change


def conditions(
    recipe: dict[str, Any],
) -> dict[str, Callable[[np.random.Generator, Sound, int], Sound]]:
    """The conditions that are reported without a target."""
    rate, wanted = int(recipe["speech"]["sample_rate"]), recipe["conditions"]

    def room(rng: np.random.Generator, sound: Sound, number: int) -> Sound:
        decay = wanted["room_decay_s"][number % len(wanted["room_decay_s"])]
        return check_sounds.in_room(
            rng, np.pad(sound, (0, rate // 5)), rate, decay_s=decay,
            distance=wanted["room_distance"],
        )  # fmt: skip

    def band(_rng: np.random.Generator, sound: Sound, _number: int) -> Sound:
        return check_sounds.band_limited(sound, wanted["band_limit_hz"], rate)

    def level(_rng: np.random.Generator, sound: Sound, number: int) -> Sound:
        return check_sounds.gain(sound, wanted["gains_db"][number % len(wanted["gains_db"])])

    return {"small room": room, "band limit": band, "gain": level}


def pairs(
    recipe: dict[str, Any], texts: Sequence[str], count: int, first: int
) -> Iterable[tuple[str, str, Sound]]:
    """Two phrases of one speaker in a clip, 0.2 to 0.6 s apart, in the brain's silence."""
    rate = int(recipe["sample_rate"])
    for number in range(count):
        rng = np.random.default_rng((recipe["seed"], 8, number))
        one, two = (texts[int(i)] for i in rng.integers(len(texts), size=2))
        who, start = voiced(recipe, one, first + number)
        _, end = voiced(recipe, two, first + number)
        gap = np.zeros(int(rng.uniform(0.2, 0.6) * rate), np.float32)
        sound = np.concatenate([start, gap, end])
        yield f"{one} {two}", who, check_sounds.padded(sound, 0.3, 0.5, rate)


def by_mouth(voice: Path, texts: Sequence[str]) -> Iterable[tuple[str, str, Sound]]:
    """Every text by the pocket mouth, with the brain's pre-roll and trailing silence."""
    mouth = PiperVoice.load(voice)
    for text in texts:
        sound = spoken(mouth, text, 1.0) * np.float32(0.06)
        yield text, "mouth", check_sounds.padded(sound, 0.3, 0.5, 16_000)


def report(scores: Sequence[Score], mistakes: int = 12) -> str:
    """The figures, a line each, and the most frequent mistakes of each."""
    lines: list[str] = []
    for score in scores:
        lines.append(score.line())
        seen = Counter((wanted, heard) for wanted, heard, _ in score.mistakes)
        lines += [f"    {n} x {w!r} -> {h!r}" for (w, h), n in seen.most_common(mistakes)]
    return "\n".join(lines)
