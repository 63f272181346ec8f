"""The voice over a scripted source: what it sounds like, when it gives up, and what it frees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brain.audio.pcm import Audio
from brain.engines.ports import (
    Cancelled,
    Emotion,
    EngineError,
    EngineFailed,
    EngineInfo,
    EngineTimeout,
    EngineUnavailable,
    Ticket,
)
from brain.engines.tts.orpheus.frames import Frame
from brain.engines.tts.orpheus.hints import (
    SHARES_OF_LLAMACPP,
    SHARES_OF_VLLM,
    STARTED_ANEW,
    hinted,
)
from brain.engines.tts.orpheus.synthesizer import OrpheusSynthesizer
from tests.engines.tts.orpheus.scripted_voice import (
    InlineDecoder,
    ScriptedSource,
    Step,
    said,
    speech,
    voice,
)
from tests.engines.tts.orpheus.slow_reference import slow_sound, whole_sound
from tests.engines.tts.orpheus.tiny_snac import write_snac
from tests.virtual_time import run_virtual


@pytest.fixture(scope="module")
def snac(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_snac(tmp_path_factory.mktemp("snac") / "snac.onnx")


@pytest.fixture(scope="module")
def decoder(snac: Path) -> InlineDecoder:
    return InlineDecoder(snac)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(0, 6),
    st.lists(st.integers(0, 33), max_size=12),
    st.lists(st.integers(0, 128_265) | st.integers(156_938, 200_000), max_size=5),
)
def test_the_streamed_sound_is_that_of_the_slow_reference(
    snac: Path, decoder: InlineDecoder, frames: int, rest: int, sizes: list[int], garbage: list[int]
) -> None:
    ids = speech(frames + 1, seed=frames)[: frames * 7 + rest]
    for index, token in enumerate(garbage):
        ids.insert(3 + index * 11 % len(ids), token)
    script: list[Step] = []
    start = 0
    for size in [*sizes, len(ids)]:
        script.append(ids[start : start + size])
        start += size
    heard = run_virtual(said(voice(ScriptedSource(script), decoder, at_once=1)))
    assert len(heard) == frames * 2048, "all frames, the first and the last, too"
    assert np.array_equal(heard, slow_sound(ids, snac))


def test_the_windows_are_near_the_whole_and_not_the_same(snac: Path) -> None:
    """So the test above can tell one from the other: the decoder looks beyond a window. (How far
    one of the real widths is from the whole: benchmarks/orpheus_sound.py.)"""
    ids = speech(40)
    windowed, whole = slow_sound(ids, snac) / 32768, whole_sound(ids, snac)
    assert len(windowed) == len(whole) == 40 * 2048
    loss_db = 10 * np.log10(np.mean(whole**2) / np.mean((windowed - whole) ** 2))
    assert 35 < loss_db < 50


def test_a_decoder_that_is_behind_takes_more_at_once_and_loses_nothing(
    snac: Path, decoder: InlineDecoder
) -> None:
    ids = speech(30)
    sizes: list[int] = []

    class Counted(InlineDecoder):
        async def decode(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
            sizes.append(len(frames))
            return await super().decode(frames)

    heard = run_virtual(said(voice(ScriptedSource([ids[:28], ids[28:]]), Counted(snac))))
    assert sizes == [4, 11, 11, 11, 5, 4]
    whole = whole_sound(ids, snac)
    assert len(heard) == len(whole)
    assert np.corrcoef(heard, whole)[0, 1] > 0.95


def test_the_first_sound_comes_with_the_28th_token_and_then_a_block_each_7(
    decoder: InlineDecoder,
) -> None:
    async def main() -> None:
        script: list[Step] = [x for token in speech(6) for x in (1.0, [token])]
        mouth = voice(ScriptedSource(script), decoder, idle_s=100, total_s=100)
        loop = asyncio.get_running_loop()
        times = [loop.time() async for _ in mouth.stream("Hi.", ticket=Ticket("a"))]
        assert times == [28, 28, 35, 42, 42, 42]

    run_virtual(main())


def test_what_the_model_is_asked(decoder: InlineDecoder) -> None:
    async def main() -> None:
        source = ScriptedSource([speech(4)])
        mouth = voice(source, decoder, voice="leo")
        assert mouth.voices == ("leo", "tara", "leah", "jess", "dan", "mia", "zac", "zoe")
        assert mouth.info == EngineInfo("orpheus", "a script", "cpu", calls_per_reply=2)
        await said(mouth, "Hello.")
        await said(mouth, "Hello.", voice="zoe", emotion=Emotion("sad", 0.6))
        await said(mouth, "Hello.", voice="nobody")
        assert source.said() == ["leo: Hello.", "zoe: <sigh> Hello.", "leo: Hello."]
        assert source.limits[0] < 350
        assert (await said(mouth, " \U0001f600 ")).size == 0
        assert len(source.prompts) == 3, "nothing is asked where nothing is to be said"

    run_virtual(main())


async def hears(mouth: OrpheusSynthesizer, blocks: list[Audio]) -> None:
    """What comes before an error is in `blocks`."""
    async with aclosing(mouth.stream("Hello there.", ticket=Ticket("a"))) as stream:
        async for block in stream:
            blocks += [block]


FAULTS: list[tuple[Step, type[EngineError], str]] = [
    (60.0, EngineTimeout, "ORPHEUS_IDLE_TIMEOUT_S"),
    (EngineFailed("out of memory"), EngineFailed, "out of memory"),
    (EngineUnavailable("gone"), EngineUnavailable, "gone"),
]


@pytest.mark.parametrize(("fault", "kind", "told"), FAULTS)
def test_a_fault_before_any_sound_is_tried_once_more_on_a_new_model(
    decoder: InlineDecoder,
    caplog: pytest.LogCaptureFixture,
    fault: Step,
    kind: type[EngineError],
    told: str,
) -> None:
    source = ScriptedSource([speech(3), fault], [speech(5)])
    with caplog.at_level(logging.WARNING):
        heard = run_virtual(said(voice(source, decoder)))
    assert (len(heard), source.resets, len(source.prompts)) == (5 * 2048, 1, 2)
    assert "started anew" in caplog.text
    assert told in caplog.text


@pytest.mark.parametrize("lower", [SHARES_OF_VLLM, SHARES_OF_LLAMACPP])
def test_where_memory_ran_out_the_log_and_the_error_say_what_to_lower(
    decoder: InlineDecoder, caplog: pytest.LogCaptureFixture, lower: tuple[str, ...]
) -> None:
    full = EngineFailed("CUDA error: out of memory")
    source = ScriptedSource([full], reset_fails=EngineUnavailable("cudaMalloc failed: 3 GB."))
    with caplog.at_level(logging.WARNING), pytest.raises(EngineUnavailable) as caught:
        run_virtual(said(voice(source, decoder, lower=lower)))
    for told in (caplog.messages[0], str(caught.value)):
        assert told.endswith(f"(Memory ran out: lower {lower[0]}, {lower[1]} or {lower[2]}.)")
    assert caplog.messages[0].startswith(f"{STARTED_ANEW}CUDA error: out of memory. (")
    assert str(caught.value).startswith("cudaMalloc failed: 3 GB. (")


@pytest.mark.parametrize(
    "told", ["a broken pipe", "out of memory: lower ORPHEUS_MAX_NUM_SEQS", "memory of the past"]
)
def test_no_hint_is_given_where_none_is_due(told: str) -> None:
    error = EngineFailed(told)
    assert hinted(error, SHARES_OF_VLLM) is error
    assert hinted(EngineFailed("out of memory"), ()).args == ("out of memory",)


@pytest.mark.parametrize(("fault", "kind", "told"), FAULTS)
def test_a_fault_again_is_the_callers(
    decoder: InlineDecoder, fault: Step, kind: type[EngineError], told: str
) -> None:
    async def main() -> None:
        source = ScriptedSource([fault])
        loop = asyncio.get_running_loop()
        with pytest.raises(kind, match=told):
            await said(voice(source, decoder, idle_s=8))
        assert (source.resets, len(source.prompts), source.left) == (1, 2, 2)
        if kind is EngineTimeout:
            assert loop.time() == pytest.approx(8 + 1 + 8)

    run_virtual(main())


@pytest.mark.parametrize(("fault", "kind", "told"), FAULTS)
def test_what_was_heard_in_part_is_not_said_again(
    decoder: InlineDecoder, fault: Step, kind: type[EngineError], told: str
) -> None:
    async def main() -> None:
        source = ScriptedSource([speech(4), fault])
        blocks: list[Audio] = []
        with pytest.raises(kind, match=told):
            await hears(voice(source, decoder), blocks)
        assert (len(blocks), source.resets, len(source.prompts)) == (2, 1, 1)

    run_virtual(main())


def test_a_second_try_that_breaks_off_leaves_a_new_model_to_the_next(
    decoder: InlineDecoder,
) -> None:
    async def main() -> None:
        broken = EngineFailed("broken")
        source = ScriptedSource([broken], [speech(4), broken], [speech(4)])
        mouth = voice(source, decoder)
        blocks: list[Audio] = []
        with pytest.raises(EngineFailed, match="broken"):
            await hears(mouth, blocks)
        assert (len(blocks), source.resets, len(source.prompts)) == (2, 2, 2)
        assert len(await said(mouth)) == 4 * 2048

    run_virtual(main())


def test_a_source_that_never_ends_is_stopped_at_the_total_time(decoder: InlineDecoder) -> None:
    async def main() -> None:
        source = ScriptedSource([x for _ in range(500) for x in (1.0, speech(1))])
        blocks: list[Audio] = []
        loop = asyncio.get_running_loop()
        with pytest.raises(EngineTimeout, match="ORPHEUS_TOTAL_TIMEOUT_S"):
            await hears(voice(source, decoder, idle_s=8, total_s=30), blocks)
        assert loop.time() == pytest.approx(30 + 1, abs=1)
        assert len(blocks) in {27, 28}

    run_virtual(main())


def test_garbage_alone_is_no_sound_however_much_comes(decoder: InlineDecoder) -> None:
    source = ScriptedSource([x for _ in range(500) for x in (0.5, [5, 128_266 + 4096])])
    with pytest.raises(EngineTimeout, match="ORPHEUS_IDLE_TIMEOUT_S"):
        run_virtual(said(voice(source, decoder)))


def test_a_slow_listener_is_no_fault_of_the_engine(decoder: InlineDecoder) -> None:
    async def main() -> None:
        source = ScriptedSource([[*speech(1)] for _ in range(12)])
        mouth = voice(source, decoder, idle_s=2, total_s=5)
        heard = 0
        async for _ in mouth.stream("Hello.", ticket=Ticket("a")):
            heard += 1
            await asyncio.sleep(10)
        assert (heard, source.resets) == (12, 0)

    run_virtual(main())


def test_an_empty_reply_is_tried_again_without_disturbing_the_others(
    decoder: InlineDecoder,
) -> None:
    source = ScriptedSource([[128_000]], [speech(4)])
    assert len(run_virtual(said(voice(source, decoder)))) == 4 * 2048
    assert source.resets == 0
    with pytest.raises(EngineFailed, match="no sound"):
        run_virtual(said(voice(ScriptedSource([[128_000]]), decoder)))


def test_of_several_that_fail_together_one_resets(decoder: InlineDecoder) -> None:
    async def main() -> None:
        broken: list[Step] = [EngineFailed("the GPU fell off the bus")]
        source = ScriptedSource(broken, broken, broken, [speech(4)])
        mouth = voice(source, decoder)
        sounds = await asyncio.gather(*(said(mouth) for _ in range(3)))
        assert [len(sound) for sound in sounds] == [4 * 2048] * 3
        assert source.resets == 1

    run_virtual(main())


def test_a_reset_that_fails_is_told_and_tried_again_by_the_next(decoder: InlineDecoder) -> None:
    async def main() -> None:
        source = ScriptedSource(
            [EngineFailed("broken")],
            [EngineUnavailable("not loaded")],
            [speech(4)],
            reset_fails=EngineUnavailable("no memory"),
        )
        mouth = voice(source, decoder)
        with pytest.raises(EngineUnavailable, match="no memory"):
            await said(mouth)
        source.reset_fails = None
        assert len(await said(mouth)) == 4 * 2048
        assert source.resets == 2

    run_virtual(main())


def test_a_cancel_ends_it_within_a_block_and_is_no_failure(decoder: InlineDecoder) -> None:
    async def main() -> None:
        source = ScriptedSource([x for _ in range(50) for x in (0.1, speech(1))])
        ticket = Ticket("a")
        heard = 0

        async def listen() -> None:
            nonlocal heard
            async for _ in voice(source, decoder).stream("Hello.", ticket=ticket):
                heard += 1
                if heard == 5:
                    ticket.cancel.cancel()

        with pytest.raises(Cancelled):
            await listen()
        assert (heard, source.resets, source.left) == (5, 0, 1)
        with pytest.raises(Cancelled):
            await said(voice(source, decoder), ticket=ticket)

    run_virtual(main())


def test_a_listener_that_leaves_stops_the_source(decoder: InlineDecoder) -> None:
    async def main() -> None:
        source = ScriptedSource([x for _ in range(50) for x in (0.1, speech(1))])
        stream = voice(source, decoder).stream("Hello.", ticket=Ticket("a"))
        await anext(stream)
        await stream.aclose()
        assert (source.left, source.resets) == (1, 0)

    run_virtual(main())


def test_closing(snac: Path) -> None:
    async def main() -> None:
        own = InlineDecoder(snac)
        source = ScriptedSource([EngineFailed("broken")])
        mouth = voice(source, own)
        # Closed while the model is loaded anew: that is waited for, and then freed.
        saying = asyncio.ensure_future(said(mouth))
        await asyncio.sleep(0.5)
        await mouth.close()
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)
        with pytest.raises(EngineUnavailable, match="closed"):
            await saying
        await mouth.close()
        assert source.closes == 2, "closing twice is the source's to bear"
        assert own.closed
        with pytest.raises(EngineUnavailable, match="closed"):
            await said(mouth)

    run_virtual(main())
