"""What each setting of vLLM becomes: an argument of vLLM's own, or of its sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brain.engines.hangs import GivenUpOnce
from brain.engines.llm.vllm import VllmMind
from brain.engines.llm.vllm_start import _arguments
from brain.engines.ports import LanguageModel, Message
from brain.engines.recipes.minds import _thinking
from brain.engines.recipes.orpheus import orpheus_vllm_speech
from brain.engines.recipes.vllm import vllm_options
from brain.settings import Settings
from tests.engines.conformance.bench import Bench


@pytest.mark.parametrize(
    ("name", "value", "argument"),
    [
        pytest.param("vllm_dtype", "float16", "dtype", marks=pytest.mark.setting("VLLM_DTYPE")),
        pytest.param(
            "vllm_gpu_memory_utilization", 0.2, "gpu_memory_utilization",
            marks=pytest.mark.setting("VLLM_GPU_MEMORY_UTILIZATION"),
        ),
        pytest.param(
            "vllm_max_model_len", 777, "max_model_len",
            marks=pytest.mark.setting("VLLM_MAX_MODEL_LEN"),
        ),
        pytest.param(
            "vllm_max_num_seqs", 5, "max_num_seqs", marks=pytest.mark.setting("VLLM_MAX_NUM_SEQS")
        ),
        pytest.param(
            "vllm_max_num_batched_tokens", 99, "max_num_batched_tokens",
            marks=pytest.mark.setting("VLLM_MAX_NUM_BATCHED_TOKENS"),
        ),
    ],
)  # fmt: skip
def test_what_decides_how_the_mind_is_run(
    pocket: Path, name: str, value: Any, argument: str
) -> None:
    def of(**changes: Any) -> Any:
        settings = Settings(vllm_model_name=str(pocket), **changes)
        return _arguments(vllm_options(settings).shape)

    assert getattr(of(**{name: value}), argument) == value != getattr(of(), argument)
    assert of().model == str(pocket)
    assert of().enable_prefix_caching


def test_memory_is_for_the_pictures_that_a_turn_may_have(pocket: Path) -> None:
    settings = Settings(vllm_model_name=str(pocket), images_per_turn=3, image_history=1)
    limit = _arguments(vllm_options(settings).shape).limit_mm_per_prompt
    assert limit == {"image": 4, "video": 0, "audio": 0}


@pytest.mark.parametrize(
    ("name", "value", "argument"),
    [
        pytest.param(
            "orpheus_gpu_memory_utilization", 0.2, "gpu_memory_utilization",
            marks=pytest.mark.setting("ORPHEUS_GPU_MEMORY_UTILIZATION"),
        ),
        ("orpheus_max_model_len", 777, "max_model_len"),
        ("orpheus_max_num_seqs", 5, "max_num_seqs"),
        ("orpheus_max_num_batched_tokens", 99, "max_num_batched_tokens"),
    ],
)  # fmt: skip
@pytest.mark.setting("TTS_MODEL_NAME")
def test_what_decides_how_orpheus_is_run(
    orpheus: Path, name: str, value: Any, argument: str
) -> None:
    def of(**changes: Any) -> Any:
        settings = Settings(tts_model_name=str(orpheus), **changes)
        return _arguments(orpheus_vllm_speech(settings).shape)

    assert getattr(of(**{name: value}), argument) == value != getattr(of(), argument)
    assert of().model == str(orpheus)


@pytest.mark.setting("VLLM_TEMPERATURE")
@pytest.mark.setting("VLLM_MAX_OUTPUT_TOKENS")
def test_what_decides_how_it_is_asked(bench: Bench[LanguageModel], pocket: Path) -> None:
    """On the engine that the other tests share: its prompt and sampling, as vLLM gets them."""
    shared = bench.engine
    assert isinstance(shared, VllmMind)
    settings = Settings(
        vllm_model_name=str(pocket), vllm_temperature=0.3, vllm_max_output_tokens=33
    )
    mind = VllmMind(vllm_options(settings), shared.engine, shared._prompter)
    hello = (Message("user", "Hello."),)
    options = mind._options
    asked = mind._asked(hello, (), None, options.temperature, options.max_tokens)
    assert (asked.sampling["temperature"], asked.sampling["max_tokens"]) == (0.3, 33)
    assert mind.info.model == str(pocket)
    # What the context has no room for isn't asked for.
    long = mind._asked(hello, (), None, 0.0, 100_000)
    assert long.sampling["max_tokens"] == shared.engine.context - len(long.prompt)


@pytest.mark.setting("VLLM_TIMEOUT_S")
def test_how_long_its_lane_waits(bench: Bench[LanguageModel]) -> None:
    settings = Settings(vllm_timeout_s=7.0, llm_timeout_s=50.0, warmup_llm=False)
    port: Any = bench.run(_thinking(bench.engine, settings, GivenUpOnce(), settings.vllm_timeout_s))
    assert (port.lane._limits.first_s, port.lane._limits.next_s) == (7.0, 7.0)
