"""The settings of Orpheus, with tiny models that speak as it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from brain.engines.admission import AdmissionLimits
from brain.engines.ladder import EngineState, GivenUp, Ladder, Rung
from brain.engines.ladder_ports import LadderSynthesizer
from brain.engines.ports import CancelToken, EngineTimeout, EngineUnavailable, Synthesizer, Ticket
from brain.engines.recipes import synthesizer_rungs
from brain.engines.recipes.mouths import _mouth, check_synthesizer
from brain.engines.recipes.orpheus import (
    load_orpheus,
    orpheus_at_once,
    orpheus_options,
    orpheus_patience_s,
    orpheus_speech,
)
from brain.engines.tts.orpheus.llamacpp import LlamaCppTokens
from brain.engines.tts.orpheus.synthesizer import OrpheusSynthesizer
from brain.settings import Settings
from brain.settings.budget import orpheus_may_speak, orpheus_runs_on, reserved
from tests.engines.tts.orpheus.scripted_voice import InlineDecoder, ScriptedSource, speech
from tests.engines.tts.orpheus.tiny_gguf import write_orpheus
from tests.engines.tts.orpheus.tiny_snac import write_snac
from tests.scripted_engines import ScriptedMouth
from tests.virtual_time import run_virtual

ENDLESS = "endless.gguf"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with an Orpheus that is brief, and one that never finds its end."""
    models = tmp_path_factory.mktemp("models")
    (models / "orpheus").mkdir()
    default = Settings()
    write_orpheus(models / default.orpheus_model_path, likely_end=1 / 5, orderly=True)
    write_orpheus(models / ENDLESS, likely_end=0)
    write_snac(models / default.orpheus_decoder_path)
    return models


def chosen(folder: Path, **changes: Any) -> Settings:
    """Settings with which Orpheus speaks, on llama.cpp unless `changes` say otherwise."""
    given = {"tts_backend": "orpheus", "orpheus_backend": "llamacpp", "performance_mode": True}
    return Settings(**{**given, "cpu_threads": 1, "models_dir": str(folder), **changes})


def run(settings: Settings, main: Callable[[LadderSynthesizer], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        ladder = Ladder("tts", synthesizer_rungs(settings))
        try:
            await ladder.start()
            await ladder.climb()
            return await main(LadderSynthesizer(ladder))
        finally:
            await ladder.close()

    return asyncio.run(whole())


async def state(mouth: LadderSynthesizer) -> EngineState:
    return mouth.ladder.state


@pytest.mark.setting("ORPHEUS_MODEL_PATH", "ORPHEUS_DECODER_PATH", "MODELS_DIR")
def test_orpheus_speaks_if_its_two_files_are_there(folder: Path, tmp_path: Path) -> None:
    there = run(chosen(folder), state)
    assert (there.active, there.model, there.reason) == (
        "orpheus", "orpheus-3b-0.1-ft-q4_k_m.gguf", ""
    )  # fmt: skip
    other = tmp_path / "another.gguf"
    other.symlink_to(folder / Settings().orpheus_model_path)
    assert run(chosen(folder, orpheus_model_path=str(other)), state).model == "another.gguf"
    for name in ("orpheus_model_path", "orpheus_decoder_path"):
        gone = run(chosen(folder, **{name: str(tmp_path / "absent")}), state)
        assert (gone.wanted, gone.active) == ("orpheus", "piper")
        assert gone.reason.startswith("Orpheus: There is no")
        assert name.upper() in gone.reason


@pytest.mark.setting("ORPHEUS_BACKEND")
@pytest.mark.parametrize(
    ("changes", "runs_on", "share"),
    [
        ({"llm_backend": "llamacpp"}, "llamacpp", 0),
        ({"llm_backend": "ollama"}, "llamacpp", 0),
        ({"llm_backend": "vllm"}, "vllm", 0.45),
        ({"llm_backend": "llamacpp", "orpheus_backend": "vllm"}, "vllm", 0.45),
        ({"llm_backend": "vllm", "orpheus_backend": "llamacpp"}, "llamacpp", 0),
        ({"llm_backend": "vllm", "orpheus_backend": "server"}, "server", 0),
    ],
)
def test_what_runs_its_model(changes: dict[str, Any], runs_on: str, share: float) -> None:
    settings = Settings(performance_mode=True, **changes)
    assert orpheus_runs_on(settings) == runs_on
    assert reserved(settings).orpheus == share


def test_a_share_that_it_does_not_take_is_no_reason_to_leave_it_out(folder: Path) -> None:
    settings = chosen(folder, llm_backend="vllm", gpu_utilization_cap=0.1)
    assert run(settings, state).active == "orpheus"
    assert orpheus_may_speak(settings)
    assert not orpheus_may_speak(settings.model_copy(update={"orpheus_backend": "vllm"}))


def test_a_reply_is_said_in_two_calls_while_it_is_orpheus_that_speaks(
    folder: Path, tmp_path: Path
) -> None:
    async def main(mouth: LadderSynthesizer) -> tuple[str, int | None]:
        return mouth.info.name, mouth.info.calls_per_reply

    assert run(chosen(folder), main) == ("orpheus", 2)
    absent = chosen(folder, orpheus_model_path=str(tmp_path / "absent"))
    assert run(absent, main) == ("piper", None)


@pytest.mark.parametrize(
    ("changes", "after_s"),
    [
        ({"orpheus_idle_timeout_s": 30}, 30 + 1 + 30),  # longer than TTS_TIMEOUT_S, which isn't its
        ({"orpheus_total_timeout_s": 5}, 5 + 1 + 5),
    ],
)
def test_a_text_that_comes_to_nothing_twice_is_said_by_the_next_voice(
    folder: Path, changes: dict[str, Any], after_s: float
) -> None:
    """A time-out, the model loaded anew, one more try: then the next rung, within the same call."""

    async def main() -> None:
        settings = chosen(folder, **changes)
        # It is warmed up well, and then hangs.
        source = ScriptedSource([speech(2)], [100.0])
        decoder = InlineDecoder(folder / settings.orpheus_decoder_path)
        engine = OrpheusSynthesizer(source, decoder, orpheus_options(settings))

        async def build(given_up: GivenUp) -> Synthesizer:
            limits, patience = AdmissionLimits(inflight=2), orpheus_patience_s(settings)
            return await _mouth(engine, limits, settings, given_up, patience)

        async def next_voice(_: GivenUp) -> Synthesizer:
            return ScriptedMouth(delay=0)

        rungs = [
            Rung("orpheus", build, check_synthesizer),
            Rung("next", next_voice, check_synthesizer),
        ]
        ladder = Ladder("tts", rungs)
        await ladder.start()
        await ladder.climb()
        mouth, loop = LadderSynthesizer(ladder), asyncio.get_running_loop()
        assert mouth.info.name == "orpheus"
        began = loop.time()
        blocks = [block async for block in mouth.stream("Hello.", ticket=Ticket("a"))]
        assert loop.time() - began == pytest.approx(after_s)
        assert {block.sample_rate for block in blocks} == {22_050}, "not of Orpheus, whose 24 kHz"
        assert (source.resets, len(source.prompts)) == (1, 3)
        await ladder.close()

    run_virtual(main())


def test_where_there_is_no_memory_for_it_ready_and_the_log_say_what_to_lower(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*given: Any, **named: Any) -> LlamaCppTokens:
        raise EngineUnavailable("ggml: cudaMalloc failed: out of memory")

    monkeypatch.setattr(LlamaCppTokens, "load", full)
    told = run(chosen(folder), state)
    assert told.active == "piper"
    assert told.reason.startswith("Orpheus: ggml: cudaMalloc failed: out of memory. (Memory ran")
    for name in ("LLM_GPU_LAYERS", "ORPHEUS_MAX_MODEL_LEN", "ORPHEUS_MAX_NUM_BATCHED_TOKENS"):
        assert name in told.reason
    assert told.reason in caplog.text
    assert orpheus_options(chosen(folder, orpheus_backend="vllm")).lower == (
        "ORPHEUS_GPU_MEMORY_UTILIZATION",
        "ORPHEUS_MAX_NUM_SEQS",
        "ORPHEUS_MAX_NUM_BATCHED_TOKENS",
    ), "as the supervisor's server told"


@pytest.mark.setting("ORPHEUS_VOICE")
def test_the_voice(folder: Path) -> None:
    async def main(settings: Settings) -> str:
        mouth = await load_orpheus(settings)
        await mouth.close()
        return mouth.voices[0]

    assert asyncio.run(main(chosen(folder))) == "tara"
    assert asyncio.run(main(chosen(folder, orpheus_voice="leo"))) == "leo"


@pytest.mark.setting("ORPHEUS_MAX_MODEL_LEN")
def test_a_text_and_its_sound_have_so_much_room(folder: Path) -> None:
    async def main() -> int:
        settings = chosen(folder, orpheus_model_path=ENDLESS, orpheus_max_model_len=256)
        mouth = await load_orpheus(settings)
        blocks = [block async for block in mouth.stream("Hello.", ticket=Ticket("a"))]
        await mouth.close()
        return len(blocks)

    # Of 304 tokens, which are 43 frames at most, 238 have room beside the prompt.
    assert 10 < asyncio.run(main()) <= 34
    for room, speak in ((2000, 1), (8192, 2)):
        settings = Settings(orpheus_backend="llamacpp", orpheus_max_model_len=room)
        assert orpheus_at_once(settings) == speak
    # vLLM has so much room for each, and makes them wait for it itself.
    assert orpheus_at_once(Settings(orpheus_backend="vllm", orpheus_max_model_len=2000)) == 8


@pytest.mark.setting("ORPHEUS_MAX_NUM_SEQS")
@pytest.mark.parametrize(("most", "at_once"), [(1, False), (2, True)])
def test_so_many_speak_at_once(folder: Path, most: int, at_once: bool) -> None:
    async def main() -> None:
        settings = chosen(folder, orpheus_model_path=ENDLESS, orpheus_max_num_seqs=most)
        mouth = await load_orpheus(settings)
        one, other = (mouth.stream("Hello.", ticket=Ticket(name)) for name in "ab")
        await anext(one)
        second = asyncio.ensure_future(anext(other))
        for _ in range(12):
            await anext(one)
        assert second.done() is at_once
        await one.aclose()
        await second
        await other.aclose()
        await mouth.close()

    asyncio.run(main())


@pytest.mark.setting("TTS_BUSY_QUEUE_THRESHOLD")
@pytest.mark.parametrize(("threshold", "shed"), [(0, True), (1, False)])
def test_while_it_speaks_a_text_that_does_not_wait_is_shed(
    folder: Path, threshold: int, shed: bool
) -> None:
    async def main(mouth: LadderSynthesizer) -> list[int]:
        texts = [mouth.stream("Hello.", ticket=Ticket(robot, waits=False)) for robot in "ab"]
        rates = [(await anext(text)).sample_rate for text in texts]
        for text in texts:
            await text.aclose()
        return rates

    settings = chosen(folder, orpheus_model_path=ENDLESS, tts_busy_queue_threshold=threshold)
    first, second = run(settings, main)
    assert first == 24_000
    assert (second != first) is shed


@pytest.mark.setting("ORPHEUS_MAX_NUM_BATCHED_TOKENS")
@pytest.mark.parametrize(("size", "steps"), [(16, 3), (512, 1)])
def test_a_prompt_is_computed_in_steps(folder: Path, size: int, steps: int) -> None:
    async def main() -> int:
        options = orpheus_speech(chosen(folder, orpheus_max_num_batched_tokens=size))
        source = await LlamaCppTokens.load(options)
        stream = source.stream([9] * 48, max_tokens=1, cancel=CancelToken())
        assert len([token async for ids in stream for token in ids]) == 1
        batches = source.counters.batches
        await source.close()
        return batches

    assert asyncio.run(main()) == steps


@pytest.mark.setting("ORPHEUS_IDLE_TIMEOUT_S", "ORPHEUS_TOTAL_TIMEOUT_S")
@pytest.mark.parametrize(
    ("changes", "told", "after_s"),
    [
        # Once, a second to start it anew, and once more.
        ({"orpheus_idle_timeout_s": 3}, "ORPHEUS_IDLE_TIMEOUT_S", 3 + 1 + 3),
        ({"orpheus_total_timeout_s": 5}, "ORPHEUS_TOTAL_TIMEOUT_S", 5 + 1 + 5),
        ({}, "ORPHEUS_IDLE_TIMEOUT_S", 8 + 1 + 8),
    ],
)
def test_patience(folder: Path, changes: dict[str, Any], told: str, after_s: float) -> None:
    async def main() -> None:
        settings = Settings(**changes)
        decoder = InlineDecoder(folder / settings.orpheus_decoder_path)
        source = ScriptedSource([speech(2), 100.0])
        mouth = OrpheusSynthesizer(source, decoder, orpheus_options(settings))
        with pytest.raises(EngineTimeout, match=told):
            await anext(mouth.stream("Hello.", ticket=Ticket("a")))
        assert asyncio.get_running_loop().time() == pytest.approx(after_s)

    run_virtual(main())
