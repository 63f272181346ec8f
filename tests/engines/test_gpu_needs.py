"""Which engine needs how much of the GPU, by the settings: a table, over a stand-in's 24 GB card.

That llama.cpp finds a GPU is said by the test; the build that the tests run on has none.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from brain.engines.gpu_memory import Filled
from brain.engines.ladder import Kind, Ladder, Rung
from brain.engines.llm import native
from brain.engines.loader import EngineSet
from brain.engines.recipes import POCKET, gpu_needs
from brain.engines.recipes.gpu_needs import gpu_need
from brain.settings import Settings
from tests.nvml_stand_in import GIB, NvmlStandIn

CARD = Filled(24 * GIB, 24 * GIB)
QWEN: dict[str, Any] = {"llm_backend": "vllm", "vllm_gpu_memory_utilization": 0.35}
ORPHEUS: dict[str, Any] = {"performance_mode": True, "orpheus_gpu_memory_utilization": 0.35}


def needed(kind: Kind, name: str, **settings: Any) -> tuple[float, str]:
    """GB of 2**30 bytes and all that is said; 0 where nothing is needed."""
    need = gpu_need(Settings(**settings), kind, name)
    found = need(CARD) if need is not None else None
    return (found.size / GIB, f"{found.what}: {found.advice}") if found is not None else (0.0, "")


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "finds_gpu", lambda: True)


@pytest.mark.setting("VLLM_GPU_MEMORY_UTILIZATION")
@pytest.mark.parametrize(
    ("settings", "gb"),
    [
        (QWEN, 8.4),
        ({**QWEN, "vllm_gpu_memory_utilization": 0.5}, 12.0),
        ({**QWEN, "gpu_utilization_cap": 0.3}, 0.0),  # isn't started in any case
    ],
)
def test_vllm_needs_its_share_of_the_card(settings: dict[str, Any], gb: float) -> None:
    size, told = needed("llm", "vllm", **settings)
    assert size == pytest.approx(gb)
    assert bool(gb) == ("VLLM_GPU_MEMORY_UTILIZATION" in told)


@pytest.mark.setting("ORPHEUS_MIN_FREE_VRAM_GB")
@pytest.mark.parametrize(
    ("settings", "gb", "named"),
    [
        ({**QWEN, **ORPHEUS}, 10.0, "ORPHEUS_MIN_FREE_VRAM_GB=10"),
        ({**QWEN, **ORPHEUS, "orpheus_min_free_vram_gb": 15}, 15.0, "MIN_FREE_VRAM_GB=15"),
        ({**QWEN, **ORPHEUS, "orpheus_min_free_vram_gb": 0}, 8.4, "MEMORY_UTILIZATION=0.35"),
        ({**ORPHEUS, "llm_backend": "llamacpp"}, 10.0, "ORPHEUS_MIN_FREE_VRAM_GB=10"),
        ({**ORPHEUS, "llm_backend": "llamacpp", "llm_gpu_layers": 0}, 0.0, ""),
        ({**ORPHEUS, "llm_backend": "llamacpp", "orpheus_min_free_vram_gb": 0}, 0.0, ""),
        ({**QWEN, **ORPHEUS, "orpheus_backend": "server"}, 0.0, ""),
        ({**QWEN, **ORPHEUS, "orpheus_backend": "llamacpp"}, 10.0, "MIN_FREE_VRAM_GB=10"),
        ({**QWEN, **ORPHEUS, "gpu_utilization_cap": 0.5}, 0.0, ""),
        ({**QWEN, "performance_mode": False}, 0.0, ""),
    ],
)
def test_orpheus_needs_what_is_set_or_what_it_takes(
    settings: dict[str, Any], gb: float, named: str
) -> None:
    size, told = needed("tts", "orpheus", **settings)
    assert size == pytest.approx(gb)
    assert named in told


def test_orpheus_as_a_gguf_needs_its_file_and_its_context(tmp_path: Path, on_gpu: None) -> None:
    model = tmp_path / "orpheus.gguf"
    model.write_bytes((POCKET / "mind.gguf").read_bytes())
    size, told = needed(
        "tts", "orpheus", performance_mode=True, orpheus_backend="llamacpp",
        orpheus_model_path=str(model), orpheus_max_model_len=8192, orpheus_min_free_vram_gb=0,
    )  # fmt: skip
    assert size * GIB == model.stat().st_size + 8192 * 3072
    assert "orpheus.gguf" in told


def test_a_gguf_needs_its_file_and_its_context_as_far_as_they_lie_there(
    tmp_path: Path, on_gpu: None
) -> None:
    model = tmp_path / "own.gguf"
    model.write_bytes((POCKET / "mind.gguf").read_bytes())
    whole = {"llm_backend": "llamacpp", "llm_model_path": str(model), "llm_context": 4096}
    bytes_ = model.stat().st_size + 4096 * 3072
    size, told = needed("llm", "llamacpp", **whole)
    assert size * GIB == bytes_
    assert "own.gguf with its context: lower LLM_CONTEXT" in told
    half, _ = needed("llm", "llamacpp", **whole, llm_gpu_layers=3)
    assert half * GIB == pytest.approx(bytes_ * 3 / 7, abs=1), "of six layers and the output"
    assert needed("llm", "llamacpp", **whole, llm_gpu_layers=0) == (0.0, "")
    model.unlink()
    assert needed("llm", "llamacpp", **whole) == (0.0, ""), "its rung tells"


def test_a_llama_cpp_without_a_gpu_needs_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "finds_gpu", lambda: False)
    path = str(POCKET / "mind.gguf")
    assert needed("llm", "llamacpp", llm_backend="llamacpp", llm_model_path=path) == (0.0, "")


@pytest.mark.parametrize(
    ("settings", "gb"),
    [
        ({"stt_model_size": "small.en", "stt_compute_type": "int8_float16"}, 0.43),
        ({"stt_model_size": "small.en", "stt_compute_type": "float16"}, 1.2),
        ({"stt_model_size": "medium.en", "stt_compute_type": "float16"}, 2.5),
        ({"stt_model_size": "somebody/whisper-own"}, 0.0),
    ],
)
def test_ears_on_the_gpu_need_what_the_catalogue_says(
    settings: dict[str, Any], gb: float, tmp_path: Path
) -> None:
    size, _ = needed("stt", "whisper", stt_device="cuda", models_dir=str(tmp_path), **settings)
    assert size * GIB == pytest.approx(gb * 1e9)
    assert needed("stt", "whisper", **settings) == (0.0, ""), "on the CPU"


def test_ears_of_ones_own_need_at_least_their_file(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"0" * 1_000_000)
    own = {"stt_device": "cuda", "stt_model_size": str(tmp_path)}
    assert needed("stt", "whisper", **own)[0] * GIB == 500_000
    assert needed("stt", "whisper", **own, stt_compute_type="float16")[0] * GIB == 1_000_000


def test_a_brain_looks_before_it_loads_and_says_which_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole set, on a card that is full: the embedded engines serve, for the true reasons."""
    nvml = NvmlStandIn(free=2 * GIB)
    order: list[str] = []
    climb = Ladder.climb

    async def noted(self: Ladder[Any]) -> None:
        order.append(self.kind)
        await climb(self)

    monkeypatch.setattr(Ladder, "climb", noted)
    monkeypatch.setattr(gpu_needs, "_llamacpp_has_gpu", lambda: True)

    async def main() -> None:
        settings = Settings(
            **QWEN, **ORPHEUS, stt_device="cuda", stt_model_size="medium.en",
            stt_compute_type="float16", piper_voice="pocket",
        )  # fmt: skip
        engines = EngineSet(settings, gpu=nvml.memory)
        try:
            await engines.start()
            await engines.wait_settled()
            states = {state.kind: state for state in engines.states()}
            assert "needs 8.4 GB free on the GPU, and 2.0 of its 24.0" in states["llm"].reason
            assert "needs 10.0 GB free on the GPU, and 2.0 of" in states["tts"].reason
            assert "needs 2.3 GB free on the GPU" in states["stt"].reason
            assert [states[kind].active for kind in ("llm", "tts", "stt")] == [
                "llamacpp", "piper", "whisper",
            ]  # fmt: skip
        finally:
            await engines.close()

    asyncio.run(main())
    assert order == ["llm", "tts", "stt"], "the largest first, Orpheus before the ears"


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        ({**QWEN, **ORPHEUS}, ["llm", "tts", "stt"]),
        ({**QWEN, **ORPHEUS, "orpheus_backend": "server"}, ["llm", "stt", "tts"]),
        ({**QWEN, "performance_mode": False}, ["llm", "stt", "tts"]),
        ({**ORPHEUS, "llm_backend": "llamacpp", "llm_gpu_layers": 0}, ["llm", "stt", "tts"]),
        ({**QWEN, "tts_backend": "off"}, ["llm", "stt"]),
    ],
)
def test_orpheus_is_loaded_before_the_ears_where_it_goes_to_the_gpu(
    settings: dict[str, Any], order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    climbed: list[str] = []

    async def noted(self: Ladder[Any]) -> None:
        climbed.append(self.kind)

    monkeypatch.setattr(Ladder, "climb", noted)
    monkeypatch.setattr(Ladder, "watch", lambda self: None)

    async def main() -> None:
        engines = EngineSet(Settings(**settings))
        await engines._load()
        await engines.close()

    asyncio.run(main())
    assert climbed == order


def test_embedded_rungs_ask_nothing_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = NvmlStandIn(free=0)
    made: list[Rung[Any]] = []
    init = Ladder.__init__

    def noted(self: Ladder[Any], kind: Kind, rungs: list[Rung[Any]]) -> None:
        made.extend(rung for rung in rungs if rung.embedded)
        init(self, kind, rungs)

    monkeypatch.setattr(Ladder, "__init__", noted)

    async def main() -> None:
        engines = EngineSet(Settings(**QWEN, stt_device="cuda"), gpu=nvml.memory)
        try:
            await engines.start()
        finally:
            await engines.close()

    asyncio.run(main())
    assert {rung.name for rung in made} == {"llamacpp", "whisper", "piper", "espeak"}
    assert nvml.asked == 0
