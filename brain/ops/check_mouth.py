"""Measures a mouth: is it understood, is it fast, does it click, does any text break it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import soxr
from numpy.typing import NDArray

from brain.audio.pcm import Audio, to_float
from brain.engines.ports import EngineError, Synthesizer, Ticket
from brain.ops.check_figures import Figure, share
from brain.ops.check_replies import plain

Sound = NDArray[np.float32]
Hear = Callable[[Sound], Awaitable[str]]

_EARS_RATE = 16_000
_BEFORE_S, _AFTER_S = 0.3, 0.5
# A step from one sample to the next that is larger than this, and stands out from what is around it
# by this factor, is heard as a click.
_CLICK_STEP, _CLICK_FACTOR, _CLICK_AROUND_S = 0.01, 4.0, 0.003


@dataclass
class MouthCheck:
    """One check of one synthesizer, heard by `hear` (samples at 16 kHz to text)."""

    mouth: Synthesizer
    hear: Hear
    tick: Callable[[], None] = lambda: None

    async def figures(
        self, phrases: Sequence[str], replies: Sequence[Sequence[str]], odd: Sequence[str]
    ) -> list[Figure]:
        """Everything that is measured of a mouth.

        phrases: to be understood; replies: as clauses, to be said without clicks; odd: texts that
        may give sound or silence and nothing else.
        """
        understood, factors, firsts = await self._understood(phrases)
        return [
            understood,
            Figure("mouth.rtf", "mouth: real-time factor on one core, median",
                   median(factors) if factors else float("nan"), "ratio", len(factors),
                   more_is_better=False),
            Figure("mouth.first_ms", "mouth: first sound, median",
                   median(firsts) if firsts else float("nan"), "ms", len(firsts),
                   more_is_better=False),
            await self._clicks(replies),
            await self._odd(odd),
        ]  # fmt: skip

    async def _understood(self, phrases: Sequence[str]) -> tuple[Figure, list[float], list[float]]:
        misses, factors, firsts = [], [], []
        await self._say("Ready.")  # the first call pays for what is loaded late
        for text in phrases:
            # Time of the processor, not of the clock: other work on the machine is no fault of the
            # voice, and one core is what the factor is told for.
            began = time.process_time()
            try:
                blocks, first = await self._say(text)
            except EngineError as error:
                misses.append(f"{text!r}: failed: {error}")
                continue
            taken = time.process_time() - began
            sound, rate = _joined(blocks)
            if sound.size:
                factors.append(taken * rate / sound.size)
                firsts.append(1000 * first)
            heard = await self.hear(_for_ears(sound, rate))
            if plain(heard) != plain(text):
                misses.append(f"{text!r}: heard {heard!r}")
            self.tick()
        right = len(phrases) - len(misses)
        label = "mouth: heard exactly by the ears"
        return share("mouth.understood", label, right, len(phrases), misses), factors, firsts

    async def _clicks(self, replies: Sequence[Sequence[str]]) -> Figure:
        """Clicks where blocks and clauses meet, in replies said clause by clause."""
        misses, joints = [], 0
        for clauses in replies:
            blocks = [block for clause in clauses for block in await self._said(clause)]
            # Silence before and after: a reply starts and ends in it.
            rate = blocks[0].sample_rate if blocks else _EARS_RATE
            still = np.zeros(rate // 20, np.float32)
            parts = [still, *(to_float(b.samples) for b in blocks), still]
            joints += len(parts) - 1
            misses += [f"{' '.join(clauses)!r}: a step of {step:.3f} at {at:.2f} s"
                       for at, step in clicks(parts, rate)]  # fmt: skip
        label = "mouth: clicks between clauses"
        return Figure("mouth.clicks", label, len(misses), "count", joints, more_is_better=False,
                      misses=tuple(misses))  # fmt: skip

    async def _odd(self, texts: Sequence[str]) -> Figure:
        misses = []
        for text in texts:
            try:
                await self._say(text)
            except Exception as error:  # noqa: BLE001 - that nothing at all is raised is measured
                misses.append(f"{text[:40]!r}: {type(error).__name__}: {error}")
            self.tick()
        right = len(texts) - len(misses)
        return share("mouth.any_text", "mouth: any text, no exception", right, len(texts), misses)

    async def _said(self, text: str) -> list[Audio]:
        """The blocks of `text`; none if the engine fails, which the odd texts count."""
        try:
            return (await self._say(text))[0]
        except EngineError:
            return []

    async def _say(self, text: str) -> tuple[list[Audio], float]:
        """The blocks, and seconds until the first."""
        began = time.perf_counter()
        first, blocks = 0.0, []
        async for block in self.mouth.stream(text, ticket=Ticket("check")):
            first = first or time.perf_counter() - began
            blocks.append(block)
        return blocks, first


def clicks(parts: Sequence[Sound], rate: int) -> list[tuple[float, float]]:
    """Where two neighbours of `parts` (float32, -1..1, end to end) meet with a jump.

    A jump is a step over the joint that is large in itself and several times the largest step
    within 3 ms on either side. Returns (seconds from the start, size of the step).
    """
    whole = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    steps = np.abs(np.diff(whole))
    around = max(1, int(_CLICK_AROUND_S * rate))
    found = []
    for joint in np.cumsum([part.size for part in parts])[:-1]:
        place = int(joint) - 1  # steps[i] leads from sample i to i + 1
        if not 0 <= place < steps.size:
            continue
        before = steps[max(0, place - around) : place]
        after = steps[place + 1 : place + 1 + around]
        usual = max(before.max(initial=0.0), after.max(initial=0.0))
        step = float(steps[place])
        if step > _CLICK_STEP and step > _CLICK_FACTOR * usual:
            found.append((int(joint) / rate, step))
    return found


def _joined(blocks: Sequence[Audio]) -> tuple[Sound, int]:
    if not blocks:
        return np.zeros(0, np.float32), _EARS_RATE
    return to_float(np.concatenate([b.samples for b in blocks])), blocks[0].sample_rate


def _for_ears(sound: Sound, rate: int) -> Sound:
    """At 16 kHz, with the pre-roll and the trailing silence that the brain gives its ears."""
    resampled = sound if rate == _EARS_RATE else soxr.resample(sound, rate, _EARS_RATE)
    before, after = int(_BEFORE_S * _EARS_RATE), int(_AFTER_S * _EARS_RATE)
    return np.pad(np.asarray(resampled, np.float32), (before, after))
