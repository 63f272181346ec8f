"""What the settings of engines do to real ones, on the pocket models."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from brain.engines.ladder import EngineState, Ladder, Rung
from brain.engines.lane import Closable
from brain.engines.llm import native
from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.ports import LanguageModel
from brain.engines.recipes import (
    POCKET,
    language_model_rungs,
    synthesizer_rungs,
    transcriber_rungs,
)
from brain.settings import Settings
from tests.engines.llm.pocket_mind import answer, text_of

E = TypeVar("E", bound=Closable)
NOBODY = "http://127.0.0.1:9"


@asynccontextmanager
async def climbed(rungs: Sequence[Rung[E]]) -> AsyncIterator[Ladder[E]]:
    """A ladder as a brain has it, after its start; closed afterwards."""
    ladder = Ladder("llm", rungs)
    try:
        await ladder.start()
        await ladder.climb()
        yield ladder
    finally:
        await ladder.close()


def state_of(rungs: Sequence[Rung[E]]) -> EngineState:
    async def main() -> EngineState:
        async with climbed(rungs) as ladder:
            return ladder.state

    return asyncio.run(main())


# -- mind --------------------------------------------------------------------------------------


@pytest.mark.setting("LLM_BACKEND")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"llm_backend": "llamacpp"}, ""),
        ({"llm_backend": "ollama", "ollama_url": NOBODY}, NOBODY),
        ({"llm_backend": "openai", "openai_url": f"{NOBODY}/v1"}, NOBODY),
        ({"llm_backend": "vllm"}, "extra vllm"),
    ],
    ids=lambda value: value["llm_backend"] if isinstance(value, dict) else "",
)
def test_the_backend_is_the_one_that_is_tried_first(changes: dict[str, Any], reason: str) -> None:
    state = state_of(language_model_rungs(Settings(**changes)))
    assert (state.wanted, state.active, state.model) == (
        changes["llm_backend"], "llamacpp", "pocket",
    )  # fmt: skip
    assert reason in state.reason
    assert bool(state.reason) == bool(reason)


@asynccontextmanager
async def own_mind(folder: Path, **changes: Any) -> AsyncIterator[tuple[LlamaCppMind, Any]]:
    """A model file of one's own (the pocket mind's, by another name), and the port to it."""
    file = folder / "own.gguf"
    if not file.exists():
        file.symlink_to(POCKET / "mind.gguf")
    values = {"llm_gpu_layers": 0, "cpu_threads": 1, "llm_temperature": 0.0, **changes}
    settings = Settings(llm_backend="llamacpp", llm_model_path=str(file), **values)
    async with climbed(language_model_rungs(settings)[:1]) as ladder:
        mind: Any = ladder.engine
        assert isinstance(mind.lane.engine, LlamaCppMind)
        yield mind.lane.engine, mind


async def said(mind: LanguageModel, text: str) -> str:
    return text_of(await answer(mind, text))  # type: ignore[arg-type]


@pytest.mark.setting("LLM_MODEL_PATH")
def test_the_model_is_the_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with own_mind(tmp_path) as (engine, mind):
            assert engine.info.model == "own.gguf"
            assert "moo" in (await said(mind, "What does a cow say?")).lower()

    asyncio.run(main())


@pytest.mark.setting("LLM_MODEL_PATH")
def test_the_model_may_lie_in_ones_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings(llm_model_path="~/own.gguf", piper_voice="~/voice.onnx")
    assert settings.llm_model_path == f"{tmp_path}/own.gguf"
    assert settings.piper_voice == f"{tmp_path}/voice.onnx"


@pytest.mark.setting("LLM_GPU_LAYERS")
def test_a_llama_cpp_without_a_gpu_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(layers: int) -> None:
        async with own_mind(tmp_path, llm_gpu_layers=layers):
            pass

    asyncio.run(main(0))
    assert "no GPU support" not in caplog.text
    asyncio.run(main(-1))
    assert ("no GPU support" in caplog.text) != native.api.llama_supports_gpu_offload()


@pytest.mark.setting("LLM_MAX_OUTPUT_TOKENS")
def test_the_longest_answer(tmp_path: Path) -> None:
    async def main() -> tuple[str, str]:
        async with own_mind(tmp_path) as (_, mind):
            whole = await said(mind, "What is your name?")
        async with own_mind(tmp_path, llm_max_output_tokens=3) as (engine, mind):
            before = engine.counters.generated
            cut = await said(mind, "What is your name?")
            assert engine.counters.generated - before == 3
        return whole, cut

    whole, cut = asyncio.run(main())
    assert whole.startswith(cut)
    assert len(cut) < len(whole)


@pytest.mark.setting("LLM_TEMPERATURE")
def test_heat_makes_answers_differ(tmp_path: Path) -> None:
    async def answers(temperature: float) -> set[str]:
        async with own_mind(tmp_path, llm_temperature=temperature) as (_, mind):
            return {await said(mind, "Tell me a joke.") for _ in range(16)}

    assert len(asyncio.run(answers(0.0))) == 1
    assert len(asyncio.run(answers(2.0))) > 1


@pytest.mark.setting("LLM_CONTEXT")
@pytest.mark.parametrize("context", [512, 2048])
def test_the_context_is_as_large_as_asked_for(tmp_path: Path, context: int) -> None:
    async def main() -> int:
        async with own_mind(tmp_path, llm_context=context) as (engine, _):
            return engine._loaded.context.cells

    assert asyncio.run(main()) == context


@pytest.mark.setting("CPU_THREADS")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_mind_has_so_many_threads(tmp_path: Path, threads: int) -> None:
    async def main() -> int:
        async with own_mind(tmp_path, cpu_threads=threads) as (engine, _):
            return int(native.api.llama_n_threads(engine._loaded.context.handle))

    assert asyncio.run(main()) == threads


@pytest.mark.setting("CPU_THREADS")
def test_left_to_itself_the_mind_leaves_a_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})

    async def main() -> int:
        async with own_mind(tmp_path, cpu_threads=0) as (engine, _):
            return int(native.api.llama_n_threads(engine._loaded.context.handle))

    assert asyncio.run(main()) == 2


@pytest.mark.setting("LLM_GPU_LAYERS")
@pytest.mark.parametrize("layers", [0, 7])
def test_llama_is_asked_to_put_so_many_layers_on_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: int
) -> None:
    """A build without a GPU takes the number, and has nowhere to put them."""
    asked = []
    load = native.api.llama_model_load_from_file

    def spy(path: bytes, params: Any) -> Any:
        asked.append(params.n_gpu_layers)
        return load(path, params)

    monkeypatch.setattr(native.api, "llama_model_load_from_file", spy)

    async def main() -> None:
        async with own_mind(tmp_path, llm_gpu_layers=layers) as (_, mind):
            assert await said(mind, "Hello.")

    asyncio.run(main())
    assert asked == [layers]


# -- ears --------------------------------------------------------------------------------------


@pytest.mark.setting("STT_MODEL_SIZE", "STT_BACKEND")
def test_the_ears_are_those_of_the_folder(tmp_path: Path) -> None:
    shutil.copytree(POCKET / "ears", tmp_path / "own-ears")
    settings = Settings(stt_model_size=str(tmp_path / "own-ears"), cpu_threads=1)
    state = state_of(transcriber_rungs(settings))
    assert (state.active, state.model, state.reason) == (settings.stt_backend, "own-ears", "")


@pytest.mark.setting("STT_COMPUTE_TYPE")
@pytest.mark.parametrize(("compute", "real"), [("int8", "int8_float32"), ("float32", "float32")])
def test_the_ears_compute_in_the_format_asked_for(compute: str, real: str) -> None:
    async def main() -> str:
        settings = Settings(stt_model_size="pocket", stt_compute_type=compute)
        async with climbed(transcriber_rungs(settings)) as ladder:
            ears: Any = ladder.engine
            assert ladder.state.reason == ""
            return str(ears.lane.engine._model.model.compute_type)

    assert asyncio.run(main()) == real


@pytest.mark.setting("STT_COMPUTE_TYPE")
def test_a_format_that_this_machine_cannot_compute_is_told_and_the_pocket_ears_serve() -> None:
    settings = Settings(stt_model_size="pocket", stt_compute_type="bfloat16")
    state = state_of(transcriber_rungs(settings))
    assert (state.active, state.model) == ("whisper", "pocket")
    assert "bfloat16" in state.reason


@pytest.mark.setting("STT_DEVICE")
@pytest.mark.parametrize("model", ["base.en", "pocket"])
def test_a_gpu_that_is_not_there_is_told_and_the_pocket_ears_serve(
    monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)  # whatever is here
    state = state_of(transcriber_rungs(Settings(stt_model_size=model, stt_device="cuda")))
    assert (state.active, state.model, state.loading) == ("whisper", "pocket", False)
    assert state.reason.startswith("STT_DEVICE=cuda, but the ears find no CUDA device here")


# -- mouth -------------------------------------------------------------------------------------


@pytest.mark.setting("PIPER_VOICE")
def test_the_voice_is_the_file_and_none_is_espeak(tmp_path: Path) -> None:
    for ending in (".onnx", ".onnx.json"):
        shutil.copy(POCKET / f"voice{ending}", tmp_path / f"robin{ending}")
    settings = Settings(tts_backend="piper", piper_voice=str(tmp_path / "robin.onnx"))
    state = state_of(synthesizer_rungs(settings))
    assert (state.active, state.model, state.reason) == ("piper", "robin", "")
    none = state_of(synthesizer_rungs(Settings(tts_backend="piper", piper_voice="")))
    assert none.active == "espeak"


@pytest.mark.setting("PERFORMANCE_MODE")
@pytest.mark.parametrize(
    ("mode", "backend", "wanted", "reason"),
    [
        (False, "auto", "piper", ""),
        (True, "auto", "orpheus", "Orpheus"),
        (False, "orpheus", "orpheus", "PERFORMANCE_MODE=1"),
        (True, "espeak", "espeak", ""),
    ],
)
def test_orpheus_is_asked_in_performance_mode_only(
    mode: bool, backend: str, wanted: str, reason: str
) -> None:
    state = state_of(synthesizer_rungs(Settings(performance_mode=mode, tts_backend=backend)))
    assert state.wanted == wanted
    assert reason in state.reason
    assert state.active in {"piper", "espeak"}
