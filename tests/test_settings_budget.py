"""How much of the GPU the vLLM engines may take: what is counted, and what a cap does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.engines.loader import EngineSet
from brain.ops.health import ready
from brain.settings import Settings, SettingsError, load
from brain.settings.budget import configured, excess, excess_of_vllm, reserved

BOTH: dict[str, Any] = {"llm_backend": "vllm", "performance_mode": True}
share = st.floats(0.01, 1.0)


def test_orpheus_counts_as_taken_in_performance_mode_only() -> None:
    quiet = Settings(llm_backend="vllm")
    assert (configured(quiet).combined, reserved(quiet).combined) == (0.8, 0.35)
    assert reserved(Settings(**BOTH)).combined == 0.8
    for other in ("piper", "espeak", "off"):
        assert reserved(Settings(**BOTH, tts_backend=other)).orpheus == 0
    assert reserved(Settings(llm_backend="llamacpp", performance_mode=True)).qwen == 0


def test_just_at_the_cap_is_allowed() -> None:
    assert excess(Settings(**BOTH)) == ""
    assert excess(Settings(**BOTH, gpu_utilization_cap=0.79)) != ""


@given(share, share, st.floats(0.0, 1.0), st.booleans())
def test_what_is_refused_is_what_is_over(
    qwen: float, orpheus: float, cap: float, performance: bool
) -> None:
    settings = Settings(
        llm_backend="vllm",
        vllm_gpu_memory_utilization=qwen,
        orpheus_gpu_memory_utilization=orpheus,
        gpu_utilization_cap=cap,
        performance_mode=performance,
    )
    total = qwen + orpheus * performance
    if abs(total - cap) > 1e-5:
        assert bool(excess(settings)) == (total > cap)
    if abs(qwen - cap) > 1e-5:
        assert bool(excess_of_vllm(settings)) == (qwen > cap)


ENVIRONMENT = {
    "LLM_BACKEND": "vllm",
    "TTS_BACKEND": "auto",
    "PERFORMANCE_MODE": "1",
    "VLLM_GPU_MEMORY_UTILIZATION": "0.5",
}
LINE = (
    "VLLM_GPU_MEMORY_UTILIZATION=0.5 (environment) and ORPHEUS_GPU_MEMORY_UTILIZATION=0.45 "
    "(default) come to 0.95 of the GPU, over GPU_UTILIZATION_CAP=0.8 (default): lower one of the "
    "two, or raise the cap"
)


@pytest.mark.setting("GPU_UTILIZATION_CAP", "PERFORMANCE_MODE")
def test_too_much_stops_a_start_with_the_numbers_and_what_to_change(tmp_path: Path) -> None:
    def read(**changes: str) -> Settings:
        environ = {**ENVIRONMENT, **changes}
        return load(environ=environ, config_dir=tmp_path, working_dir=tmp_path, lenient=False)

    with pytest.raises(SettingsError) as caught:
        read()
    assert str(caught.value) == LINE
    for changes in (
        {"GPU_UTILIZATION_CAP": "0.95"},
        {"PERFORMANCE_MODE": "0"},
        {"TTS_BACKEND": "espeak"},
        {"VLLM_GPU_MEMORY_UTILIZATION": "0.35"},
    ):
        assert read(**changes).problems == ()
    with pytest.raises(SettingsError, match=r"TION=0\.9 \(environment\) is over GPU_"):
        read(PERFORMANCE_MODE="0", VLLM_GPU_MEMORY_UTILIZATION="0.9")


@pytest.mark.setting("GPU_UTILIZATION_CAP")
@pytest.mark.parametrize(
    ("changes", "without", "refused"),
    [
        ({}, "Orpheus", {"tts"}),
        ({"VLLM_GPU_MEMORY_UTILIZATION": "0.9"}, "vLLM and Orpheus", {"llm", "tts"}),
        ({"VLLM_GPU_MEMORY_UTILIZATION": "0.9", "PERFORMANCE_MODE": "0"}, "vLLM", {"llm"}),
    ],
)
def test_under_systemd_the_brain_comes_up_without_what_is_too_much(
    tmp_path: Path, changes: dict[str, str], without: str, refused: set[str]
) -> None:
    environ = {**ENVIRONMENT, **changes}
    settings = load(environ=environ, config_dir=tmp_path, working_dir=tmp_path, lenient=True)
    [problem] = settings.problems
    assert problem.severity == "error"
    assert str(problem).endswith(f"; a brain without {without} holds instead")

    async def main() -> None:
        engines = EngineSet(settings)
        try:
            await engines.start()
            await engines.wait_settled()
            by_kind = {state.kind: state for state in engines.states()}
            told = {kind for kind, state in by_kind.items() if "GPU_UTILIZATION" in state.reason}
            assert told == refused
            assert all(state.active for state in by_kind.values())
            answer = ready(settings, engines.states(), version="1")
            assert (answer.status, answer.body["problems"]) == (200, [str(problem)])
        finally:
            await engines.close()

    asyncio.run(main())
