"""What each engine that goes to the GPU must find free there before it is loaded."""

from __future__ import annotations

from pathlib import Path

from brain.engines.gpu_memory import Filled
from brain.engines.gpu_room import GpuNeed, NeedOf
from brain.engines.ladder import Kind
from brain.models import catalog, sizes
from brain.models.catalog import Model
from brain.models.errors import ModelsError
from brain.models.place import located, located_ears, models_dir
from brain.settings import Settings
from brain.settings.budget import excess_of_vllm, orpheus_may_speak, orpheus_runs_on

_GIB = 1 << 30
_STOP = "or stop what else runs on the GPU"


def gpu_need(settings: Settings, kind: Kind, name: str) -> NeedOf | None:
    """What the rung `name` of this kind needs; None if it takes nothing of the GPU here, or the
    settings keep it from starting. (Embedded rungs run on the CPU.)"""
    if (kind, name) == ("llm", "vllm") and not excess_of_vllm(settings):
        return lambda found: _vllm_mind(settings, found)
    if (kind, name) == ("llm", "llamacpp") and settings.llm_gpu_layers:
        return lambda _: _llamacpp_mind(settings)
    if (kind, name) == ("stt", "whisper") and settings.stt_device == "cuda":
        return lambda _: _ears(settings)
    if (kind, name) == ("tts", "orpheus") and orpheus_may_speak(settings):
        return lambda found: _orpheus(settings, found)
    return None


def orpheus_on_gpu(settings: Settings) -> bool:
    """Whether Orpheus, if it speaks, takes memory of this machine's GPU."""
    runs_on = orpheus_runs_on(settings)
    return runs_on == "vllm" or (runs_on == "llamacpp" and settings.llm_gpu_layers != 0)


def _vllm_mind(settings: Settings, found: Filled) -> GpuNeed:
    """vLLM refuses to start where its share isn't free."""
    share = settings.vllm_gpu_memory_utilization
    return GpuNeed(
        round(share * found.total),
        f"vLLM (VLLM_GPU_MEMORY_UTILIZATION={share:g})",
        f"lower VLLM_GPU_MEMORY_UTILIZATION, {_STOP}",
    )


def _llamacpp_mind(settings: Settings) -> GpuNeed | None:
    file = located(settings.llm_model_path, models_dir(settings.models_dir))
    size = _gguf_on_gpu(file, settings.llm_gpu_layers, settings.llm_context)
    advice = f"lower LLM_CONTEXT or LLM_GPU_LAYERS, take a smaller LLM_MODEL_PATH, {_STOP}"
    return GpuNeed(size, f"{file.name} with its context", advice) if size else None


def _ears(settings: Settings) -> GpuNeed | None:
    folder, name = models_dir(settings.models_dir), settings.stt_model_size
    known = _known(f"whisper/{Path(name).name}/model.bin")
    file = Path(located_ears(name, folder)) / "model.bin"
    size = sizes.of_ears(file, known, settings.stt_compute_type).size
    advice = f"set STT_DEVICE=cpu, take a smaller STT_MODEL_SIZE, {_STOP}"
    return GpuNeed(size, f"Whisper {name}", advice) if size else None


def _orpheus(settings: Settings, found: Filled) -> GpuNeed | None:
    """The larger of what it takes and ORPHEUS_MIN_FREE_VRAM_GB, whatever runs it here."""
    if not orpheus_on_gpu(settings):
        return None
    least = round(settings.orpheus_min_free_vram_gb * _GIB)
    if orpheus_runs_on(settings) == "vllm":
        share = settings.orpheus_gpu_memory_utilization
        taken = round(share * found.total)
        told = f"ORPHEUS_GPU_MEMORY_UTILIZATION={share:g}"
        lower = "lower ORPHEUS_GPU_MEMORY_UTILIZATION"
    else:
        file = located(settings.orpheus_model_path, models_dir(settings.models_dir))
        taken = _gguf_on_gpu(file, settings.llm_gpu_layers, settings.orpheus_max_model_len) or 0
        told, lower = f"{file.name} with its context", "lower ORPHEUS_MAX_MODEL_LEN"
    if least > taken:
        told = f"ORPHEUS_MIN_FREE_VRAM_GB={settings.orpheus_min_free_vram_gb:g}"
        lower = "lower that"
    mind = "" if settings.llm_backend != "vllm" else " or VLLM_GPU_MEMORY_UTILIZATION"
    need = GpuNeed(max(least, taken), f"Orpheus ({told})", f"{lower}{mind}, {_STOP}")
    return need if need.size else None


def _gguf_on_gpu(file: Path, layers: int, context: int) -> int | None:
    """Bytes of weights and context; None where llama.cpp puts nothing on a GPU, or the file isn't
    there, which its rung tells."""
    size = sizes.of_gguf(file, None)
    if size.weights.size is None or not _llamacpp_has_gpu():
        return None
    return round(size.on_gpu(layers) * (size.weights.size + context * (size.cache.size or 0)))


def _llamacpp_has_gpu() -> bool:
    try:
        from brain.engines.llm.native import finds_gpu
    except ImportError:  # which its rung tells
        return False
    return finds_gpu()


def _known(place: str) -> Model | None:
    try:
        return catalog.load().at(place)
    except ModelsError:
        return None
