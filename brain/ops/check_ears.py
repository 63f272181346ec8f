"""Measures ears by the recipe in `brain/pocket/evaluation/ears.toml`: quiet, noise, and nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from brain.engines.ports import EngineError, Ticket, Transcriber
from brain.ops import check_sounds
from brain.ops.check_data import Row, sample
from brain.ops.check_figures import Figure, share
from brain.ops.check_replies import plain

Sound = NDArray[np.float32]
RATE = 16_000
# Each condition has speakers of its own.
_FIRST_IN_QUIET, _FIRST_IN_NOISE, _FIRST_IN_BABBLE = 0, 100_000, 900_000
_TALK = (
    "Nobody has found the key to the garden gate.",
    "They drove along the river until the evening.",
    "My sister paints small boats on paper.",
    "It was a long winter in the mountains.",
    "The baker opens his shop before the sun comes up.",
    "Forty people waited for the last train.",
)


@dataclass(frozen=True)
class Speaker:
    """A voice that espeak-ng makes: its name with a variant, words a minute, pitch of 0 to 99."""

    voice: str
    rate: int
    pitch: int

    def __str__(self) -> str:
        return f"{self.voice} at {self.rate} wpm, pitch {self.pitch}"


# `text` by a speaker: float32 [n] at 16 kHz.
Speak = Callable[[str, Speaker], Sound]


@dataclass(frozen=True)
class Clip:
    """What was said (empty: nothing), by whom or what, and the sound at 16 kHz."""

    text: str
    source: str
    sound: Sound


def held_out(recipe: Row, index: int) -> Speaker:
    """Speaker number `index` of those that the ears never trained on (section `speech`)."""
    rng = np.random.default_rng((recipe["seed"], index))
    accent, variant = rng.choice(recipe["accents"]), rng.choice(recipe["variants"])
    rate, pitch = int(rng.choice(recipe["rates"])), int(rng.choice(recipe["pitches"]))
    return Speaker(f"{accent}+{variant}", rate, pitch)


@dataclass(frozen=True)
class Sizes:
    """How many clips of each condition; None is all."""

    quiet: int | None = None
    noise: int | None = None
    nothing: int | None = None


@dataclass
class EarsCheck:
    """One check of one transcriber. `tick` is called after every clip, for progress."""

    ears: Transcriber
    speak: Speak
    recipe: Row
    tick: Callable[[], None] = lambda: None
    milliseconds: list[float] = field(default_factory=list)

    async def figures(
        self, phrases: Sequence[str], sizes: Sizes
    ) -> tuple[list[Figure], list[tuple[str, str]]]:
        """The figures, and (phrase, what was heard) for every phrase said in quiet."""
        speech, noise = self.recipe["speech"], self.recipe["noise"]
        quiet, heard = await self._hear(
            "ears.quiet", "ears: phrases exactly right, quiet",
            self._quiet(sample(_repeated(phrases, speech["repeats"]), sizes.quiet)),
        )  # fmt: skip
        noisy, _ = await self._hear(
            "ears.noise", f"ears: the same with noise at {noise['snr_db']:.0f} dB",
            self._noisy(sample(_repeated(phrases, noise["repeats"]), sizes.noise)),
        )  # fmt: skip
        timed = list(self.milliseconds)
        kinds = [
            (place, kind, repeat)
            for place, kind in enumerate(self.recipe["nothing"]["kinds"])
            for repeat in range(self.recipe["nothing"]["repeats"])
        ]
        nothing, _ = await self._hear(
            "ears.nothing", "ears: nothing heard in non-speech",
            self._nothing(sample(kinds, sizes.nothing)),
        )  # fmt: skip
        speed = Figure(
            "ears.call_ms", "ears: one call, median", median(timed) if timed else float("nan"),
            "ms", len(timed), more_is_better=False,
        )  # fmt: skip
        return [quiet, noisy, nothing, speed], heard

    async def hear(self, sound: Sound) -> str:
        """What the ears write; timed. An engine's failure is what it "heard"."""
        began = time.perf_counter()
        try:
            transcript = await self.ears.transcribe(sound, language="en", ticket=Ticket("check"))
        except EngineError as error:
            return f"(failed: {error})"
        self.milliseconds.append(1000 * (time.perf_counter() - began))
        return transcript.text

    async def _hear(
        self, key: str, label: str, clips: Iterator[Clip]
    ) -> tuple[Figure, list[tuple[str, str]]]:
        misses, heard = [], []
        for clip in clips:
            text = await self.hear(clip.sound)
            heard.append((clip.text, text))
            if plain(text) != plain(clip.text):
                misses.append(f"{clip.text!r} by {clip.source}: heard {text!r}")
            self.tick()
        return share(key, label, len(heard) - len(misses), len(heard), misses), heard

    def _quiet(self, jobs: Sequence[tuple[int, str]]) -> Iterator[Clip]:
        for number, text in jobs:
            who, sound = self._voiced(text, _FIRST_IN_QUIET + number)
            yield Clip(text, str(who), check_sounds.padded(sound, *self._around(number), RATE))

    def _noisy(self, jobs: Sequence[tuple[int, str]]) -> Iterator[Clip]:
        kinds, snr_db = self.recipe["noise"]["kinds"], float(self.recipe["noise"]["snr_db"])
        talk = [self._voiced(t, _FIRST_IN_BABBLE + i)[1] for i, t in enumerate(_TALK * 2)]
        for number, text in jobs:
            kind = kinds[number % len(kinds)]
            rng = np.random.default_rng((self.recipe["speech"]["seed"], 7, number))
            who, sound = self._voiced(text, _FIRST_IN_NOISE + number)
            clip = check_sounds.padded(sound, *self._around(number), RATE)
            if kind == "babble":
                noise = check_sounds.babble(rng, talk, clip.size)
            else:
                noise = check_sounds.MAKERS[kind](rng, clip.size, RATE)
            # The level of the speech is that of the words, not of the silence around them; the
            # noise goes on in that silence, as in a room.
            level = np.float32(check_sounds.rms(sound) * 10.0 ** (-snr_db / 20.0))
            yield Clip(text, f"{who}, {kind}", clip + check_sounds.unit(noise) * level)

    def _nothing(self, jobs: Sequence[tuple[int, str, int]]) -> Iterator[Clip]:
        """Non-speech: (place of the kind in the recipe, kind, number of the repeat)."""
        recipe, seed = self.recipe["nothing"], self.recipe["speech"]["seed"]
        for place, kind, repeat in jobs:
            rng = np.random.default_rng((seed, place, repeat))
            seconds = recipe["seconds"][repeat % len(recipe["seconds"])]
            level = recipe["levels_db"][repeat % len(recipe["levels_db"])]
            sound = check_sounds.MAKERS[kind](rng, int(seconds * RATE), RATE)
            if kind != "silence":
                sound = check_sounds.gain(sound, level)
            yield Clip("", f"{kind}, {seconds} s, {level:.0f} dB", sound)

    def _voiced(self, text: str, index: int) -> tuple[Speaker, Sound]:
        who = held_out(self.recipe["speech"], index)
        raw = self.speak(text, who)
        return who, (raw * (self.recipe["speech"]["peak"] / np.abs(raw).max())).astype(np.float32)

    def _around(self, number: int) -> tuple[float, float]:
        lead, tail = self.recipe["speech"]["lead_s"], self.recipe["speech"]["tail_s"]
        return lead[number % len(lead)], tail[number % len(tail)]


def _repeated(phrases: Sequence[str], repeats: int) -> list[tuple[int, str]]:
    return list(enumerate(p for p in phrases for _ in range(repeats)))
