"""espeak-ng for real: it speaks whatever it is given, lets go at once, and bears company."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.ports import Synthesizer, Ticket
from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer

POCKET_VOICE = Path(__file__).parents[3] / "brain" / "pocket" / "voice.onnx"


async def said(mouth: Synthesizer, text: str, **more: Any) -> list[Audio]:
    return [block async for block in mouth.stream(text, ticket=Ticket("a"), **more)]


def seconds(blocks: list[Audio]) -> float:
    return sum(block.seconds for block in blocks)


def whole(blocks: list[Audio]) -> NDArray[np.float64]:
    return np.concatenate([block.samples for block in blocks]).astype(np.float64)


def alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """The same words by the same voice, which never speaks twice with the same samples."""
    if abs(len(first) - len(second)) > 0.01 * len(first):
        return False
    count = min(len(first), len(second)) // 441
    pairs = [np.square(x[: count * 441]).reshape(count, 441).mean(1) for x in (first, second)]
    return bool(np.corrcoef(np.sqrt(pairs))[0, 1] > 0.9)


def run(main: Callable[[EspeakSynthesizer], Any], **options: Any) -> Any:
    async def with_mouth() -> Any:
        mouth = await EspeakSynthesizer.load(EspeakOptions(**options))
        try:
            return await main(mouth)
        finally:
            await mouth.close()

    return asyncio.run(with_mouth())


def test_rate_and_voice_are_heeded() -> None:
    async def main(mouth: EspeakSynthesizer) -> float:
        english = whole(await said(mouth, "Good morning, robot."))
        german = whole(await said(mouth, "Good morning, robot.", voice="de"))
        unknown = whole(await said(mouth, "Good morning, robot.", voice="nonsense"))
        assert alike(english, unknown)
        assert not alike(english, german)
        return len(english)

    slow, fast = run(main, rate_wpm=120), run(main, rate_wpm=240)
    assert fast < 0.75 * slow


def test_an_unknown_default_voice_is_english() -> None:
    async def main(mouth: EspeakSynthesizer) -> None:
        assert mouth.voices[0] == "en-us"
        assert "de" in mouth.voices

    run(main, voice="klingon-of-the-north")


def test_markup_is_text() -> None:
    """SSML would make the break a pause of nothing and the voice another one."""

    async def main(mouth: EspeakSynthesizer) -> None:
        marked = seconds(await said(mouth, '<speak><break time="1ms"/>hello</speak>'))
        plain = seconds(await said(mouth, "hello"))
        assert marked > 2 * plain  # its words are read out

    run(main)


def test_any_text_at_all() -> None:
    async def main(mouth: EspeakSynthesizer) -> None:
        @settings(max_examples=60, deadline=None)
        @given(st.text(max_size=60))
        def speaks(text: str) -> None:
            blocks: list[Audio] = []
            done = threading.Event()

            async def one() -> None:
                blocks.extend(await said(mouth, text))

            # Hypothesis calls without await: each example on a loop of its own.
            def work() -> None:
                asyncio.run(one())
                done.set()

            thread = threading.Thread(target=work)
            thread.start()
            thread.join(30)
            assert done.is_set(), f"{text!r} raised or hung"
            assert all(len(block.samples) for block in blocks)

        speaks()

    run(main)


def test_two_at_once_do_not_mix() -> None:
    """One library for the process: its users take turns."""

    async def main() -> None:
        first = await EspeakSynthesizer.load(EspeakOptions())
        second = await EspeakSynthesizer.load(EspeakOptions(voice="de", rate_wpm=120))

        async def fox(mouth: EspeakSynthesizer) -> NDArray[np.float64]:
            return whole(await said(mouth, "The quick brown fox jumps over the lazy dog."))

        alone = await fox(first), await fox(second)
        for _ in range(4):
            together = await asyncio.gather(fox(first), fox(second))
            assert alike(together[0], alone[0])
            assert alike(together[1], alone[1])
        await first.close()
        await second.close()

    asyncio.run(main())


def test_piper_and_espeak_live_in_one_process() -> None:
    """Piper carries an espeak of its own: neither may disturb the other."""
    from brain.engines.tts.piper import PiperSynthesizer

    async def main() -> None:
        espeak = await EspeakSynthesizer.load(EspeakOptions())
        before = whole(await said(espeak, "Hello, robot."))
        piper = PiperSynthesizer(POCKET_VOICE)
        spoken = await asyncio.gather(
            *(said(piper, f"Number {number}.") for number in range(4)),
            *(said(espeak, f"Number {number}.") for number in range(4)),
        )
        assert all(seconds(blocks) > 0.3 for blocks in spoken)
        assert alike(whole(await said(espeak, "Hello, robot.")), before)
        await piper.close()
        await espeak.close()

    asyncio.run(main())
