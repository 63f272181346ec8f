"""What the settings make of vLLM."""

from __future__ import annotations

from brain.engines.llm.vllm_options import VllmOptions, VllmShape
from brain.engines.recipes.hub_models import hub_model
from brain.settings import Settings


def vllm_options(settings: Settings) -> VllmOptions:
    """How the language model is run and asked. Raises `EngineUnavailable` for a folder that isn't
    there."""
    shape = VllmShape(
        model=hub_model(settings.vllm_model_name, "VLLM_MODEL_NAME", settings.models_dir),
        dtype=settings.vllm_dtype,
        share=settings.vllm_gpu_memory_utilization,
        context=settings.vllm_max_model_len,
        sequences=settings.vllm_max_num_seqs,
        batch=settings.vllm_max_num_batched_tokens,
        images=settings.images_per_turn + settings.image_history,
        token=settings.hf_token.get_secret_value(),
    )
    return VllmOptions(
        shape,
        name=settings.vllm_model_name,
        temperature=settings.vllm_temperature,
        max_tokens=settings.vllm_max_output_tokens,
    )
