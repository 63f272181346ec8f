"""The settings of the mouth: what they change in real sound, and in who speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brain.engines.ladder import EngineState, Ladder
from brain.engines.ladder_ports import LadderSynthesizer
from brain.engines.ports import Priority, Ticket
from brain.engines.recipes import synthesizer_rungs
from brain.settings import Settings

SENTENCE = "Good morning, I am a small robot."

Mouth = LadderSynthesizer


def run(main: Callable[[Mouth], Awaitable[Any]], **changes: Any) -> Any:
    """`main` with the mouth that the settings make, as the brain has it once it has loaded."""

    async def whole() -> Any:
        ladder = Ladder("tts", synthesizer_rungs(Settings(cpu_threads=1, **changes)))
        try:
            await ladder.start()
            await ladder.climb()
            return await main(LadderSynthesizer(ladder))
        finally:
            await ladder.close()

    return asyncio.run(whole())


async def said(
    mouth: Mouth, *, waits: bool = True, priority: Priority = Priority.REPLY
) -> NDArray[np.float64]:
    ticket = Ticket("a", priority, waits=waits)
    blocks = [block.samples async for block in mouth.stream(SENTENCE, ticket=ticket)]
    return np.concatenate(blocks).astype(np.float64)


def loudness(sound: NDArray[np.float64], parts: int = 60) -> NDArray[np.float64]:
    """How loud each of `parts` of it is: the shape of a sentence, at any pace."""
    return np.array([np.sqrt(np.mean(part**2)) for part in np.array_split(sound, parts)])


@pytest.mark.setting("TTS_BACKEND", "PERFORMANCE_MODE")
@pytest.mark.parametrize(
    ("changes", "wanted", "active", "reason"),
    [
        ({"tts_backend": "auto"}, "piper", "piper", ""),
        ({"tts_backend": "auto", "piper_voice": ""}, "espeak", "espeak", ""),
        ({"tts_backend": "auto", "performance_mode": True}, "orpheus", "piper", "Orpheus"),
        ({"tts_backend": "orpheus"}, "orpheus", "piper", "PERFORMANCE_MODE=1"),
        (
            {"tts_backend": "orpheus", "performance_mode": True, "piper_voice": ""},
            "orpheus",
            "espeak",
            "Orpheus",
        ),
        ({"tts_backend": "kokoro"}, "kokoro", "piper", "KOKORO_MODEL_PATH"),
        ({"tts_backend": "piper"}, "piper", "piper", ""),
        ({"tts_backend": "espeak"}, "espeak", "espeak", ""),
    ],
)
def test_who_speaks(changes: dict[str, Any], wanted: str, active: str, reason: str) -> None:
    async def main(mouth: Mouth) -> EngineState:
        assert len(await said(mouth)) > 10_000
        assert mouth.info.name == active
        return mouth.ladder.state

    state = run(main, **changes)
    assert (state.wanted, state.active) == (wanted, active)
    assert reason in state.reason
    assert bool(state.reason) is (wanted != active)


@pytest.mark.setting("TTS_BACKEND")
def test_nobody_speaks() -> None:
    assert synthesizer_rungs(Settings(tts_backend="off")) == []


@pytest.mark.setting("TTS_VOICE")
def test_the_voice_of_espeak() -> None:
    def shape(voice: str) -> NDArray[np.float64]:
        return loudness(run(said, tts_backend="espeak", tts_voice=voice))

    american, again, german = shape("en-us"), shape("en-us"), shape("de")
    # espeak-ng breathes a little differently each time.
    assert np.corrcoef(american, again)[0, 1] > 0.9
    assert np.corrcoef(american, german)[0, 1] < 0.6


@pytest.mark.setting("TTS_RATE_WPM")
def test_the_rate_of_espeak() -> None:
    slow, usual, fast = (
        len(run(said, tts_backend="espeak", tts_rate_wpm=rate)) for rate in (110, 165, 330)
    )
    # Its pauses don't shrink as its words do.
    assert slow == pytest.approx(usual * 165 / 110, rel=0.1)
    assert fast == pytest.approx(usual * 165 / 330, rel=0.25)


@pytest.mark.setting("TTS_BUSY_QUEUE_THRESHOLD")
@pytest.mark.parametrize("threshold", [0, 1, 3])
def test_how_many_the_wanted_voice_takes_before_espeak_is_asked(threshold: int) -> None:
    async def main(mouth: Mouth) -> None:
        piper = len(await said(mouth))
        calls = (said(mouth, waits=False, priority=Priority.PLAN) for _ in range(5))
        lengths = [len(sound) for sound in await asyncio.gather(*calls)]
        # Piper's sound of a text is always the same, and no espeak is that long.
        assert lengths[: threshold + 1] == [piper] * (threshold + 1)
        assert all(abs(length - piper) > 1_000 for length in lengths[threshold + 1 :])
        conversations = await asyncio.gather(*(said(mouth) for _ in range(3)))
        assert [len(sound) for sound in conversations] == [piper] * 3, "these keep their voice"

    run(main, tts_backend="piper", tts_busy_queue_threshold=threshold)
