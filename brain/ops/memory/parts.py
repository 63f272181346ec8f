"""What a set of settings takes of a machine's memory, part by part, without loading anything.

Sizes are those of the files that are here, else the catalogue's; what is neither there nor known is
told as unknown. A few figures stand here, each with where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from brain.engines.recipes import pocket_context
from brain.engines.recipes.building import EMBEDDED, POCKET
from brain.models import sizes
from brain.models.catalog import Catalog, Hardware
from brain.models.place import located, located_ears, models_dir
from brain.models.sizes import MindSize, Size
from brain.ops.memory.plan import MemoryPlan, Part, Place, Speed
from brain.settings import Settings
from brain.settings.budget import excess, orpheus_may_speak, orpheus_runs_on

_GB = 1e9
_PROCESS_GB = 0.22
"""Python, the web server and the libraries of the embedded engines: measured on x86-64, 2 cores."""
_DETECTOR_GB = 0.04
"""Silero with its share of onnxruntime: measured likewise."""
_VLLM_GB = 0.6
"""Of a process that has imported vLLM and torch: measured on a CPU. CUDA's libraries come on top;
how much they take in memory isn't known here."""
_BUFFERS_GB = 0.3
"""llama.cpp's for a batch: 256 tokens x 128 000 words x 4 bytes are 0.13, the layers' the rest."""
_CUDA_GB = 0.5
"""The CUDA libraries of a process, on any card."""
_SYSTEM_GB = 1.5
"""A headless Linux with its page tables and buffers."""
_SCREEN_GB = 0.6
"""A desktop's picture on its card; none where there is no desktop."""
_SHARE = "vLLM's share"
_KOKORO = "kokoro"
_LOCAL = ("//localhost", "//127.", "//[::1]")


def plan(settings: Settings, known: Catalog, machine: Hardware) -> MemoryPlan:
    """The plan of `settings` on `machine`. Reads the sizes of files, and headers; never raises."""
    parts = [
        *_mind(settings, known, machine),
        *_ears(settings, known),
        *_mouth(settings, known, machine),
        *_always(settings),
    ]
    if any(_SHARE in part.source for part in parts):
        parts.append(Part("vLLM", "its libraries in the brain", _VLLM_GB, "ram", "without CUDA's"))
    on_gpu = any(part.place == "gpu" for part in parts)
    if on_gpu and any(part.place == "gpu" and "vLLM" not in part.source for part in parts):
        parts.append(
            Part("CUDA", "its libraries in the brain's process", _CUDA_GB, "gpu", "assumed")
        )
    if machine.gpu_gb and on_gpu:
        parts.append(Part("screen", "a desktop's picture", _SCREEN_GB, "gpu", "assumed"))
    parts.append(Part("system", "Linux, headless", _SYSTEM_GB, "ram", "assumed"))
    return MemoryPlan(
        settings.brain_profile,
        machine,
        tuple(parts),
        _speed(settings, known, machine),
        excess(settings) or " ".join(_too_small(settings, known, machine)),
    )


def _mind(settings: Settings, known: Catalog, machine: Hardware) -> Iterator[Part]:
    if settings.llm_backend == "vllm":
        name, share = settings.vllm_model_name, settings.vllm_gpu_memory_utilization
        yield from _vllm("mind", name, share, "VLLM_GPU_MEMORY_UTILIZATION", known, machine)
    elif settings.llm_backend == "llamacpp" and not settings.embedded_mind:
        yield from _llamacpp(
            "mind", settings.llm_model_path, settings.llm_context, "LLM_CONTEXT",
            settings, known, machine,
        )  # fmt: skip
    elif settings.llm_backend == "ollama" and any(one in settings.ollama_url for one in _LOCAL):
        place: Place = "gpu" if machine.gpu_gb else "ram"
        yield Part("mind", f"{settings.model_name}, in Ollama", None, place, "unknown")


def _llamacpp(
    name: str,
    path: str,
    context: int,
    setting: str,
    settings: Settings,
    known: Catalog,
    machine: Hardware,
) -> Iterator[Part]:
    size = _gguf(path, settings, known)
    what, layers = Path(path).name, settings.llm_gpu_layers
    share = size.on_gpu(layers) if machine.gpu_gb or machine.shared else 0.0
    cache = size.cache.size
    both = Size(None if cache is None else cache * context, size.cache.source)
    of_cache = f"{context} tokens ({setting})"
    for place, part in (("gpu", share), ("ram", 1 - share)):
        if part:
            yield _part(f"{name}: weights", what, size.weights, _place(place), part)
            yield _part(f"{name}: context", of_cache, both, _place(place), part)
    where = "gpu" if share else "ram"
    yield Part(f"{name}: buffers", "of one batch", _BUFFERS_GB, _place(where), "reckoned")


def _vllm(
    name: str, model: str, share: float, setting: str, known: Catalog, machine: Hardware
) -> Iterator[Part]:
    """Its share of the card: the weights, and as much context as then has room."""
    size = sizes.of_named(known.at(model))
    taken = share * machine.gpu_gb
    told = f"{setting}={share:g}"
    weights = size.weights.size
    if not machine.gpu_gb or weights is None:
        yield Part(
            f"{name}: vLLM's share", f"{model}, {told}", taken or None, "gpu", "vLLM's share"
        )
    else:
        left = taken - weights / _GB
        yield Part(f"{name}: weights", model, weights / _GB, "gpu", f"catalogue, in {_SHARE}")
        tokens = f", {left * _GB / size.cache.size:.0f} tokens at most" if size.cache.size else ""
        if left > 0:
            rest = f"the rest of {told}{tokens}"
            yield Part(f"{name}: context and buffers", rest, left, "gpu", _SHARE)
    yield Part(f"{name}: vLLM's process", "torch, libraries", _VLLM_GB, "ram", "without CUDA's")


def _too_small(settings: Settings, known: Catalog, machine: Hardware) -> Iterator[str]:
    """Shares that the weights alone don't fit into."""
    asked = []
    if settings.llm_backend == "vllm":
        asked.append((settings.vllm_model_name, "VLLM_GPU_MEMORY_UTILIZATION"))
    if orpheus_may_speak(settings) and orpheus_runs_on(settings) == "vllm":
        asked.append((settings.tts_model_name, "ORPHEUS_GPU_MEMORY_UTILIZATION"))
    for name, setting in asked:
        weights = sizes.of_named(known.at(name)).weights.size
        share: float = getattr(settings, setting.lower())
        taken = share * machine.gpu_gb
        if weights is not None and machine.gpu_gb and weights / _GB >= taken:
            yield (
                f"{setting}={share:g} is {taken:.1f} GB of this GPU, and {name} alone has "
                f"{weights / _GB:.1f} GB of weights: raise it, or take a smaller model"
            )


def _ears(settings: Settings, known: Catalog) -> Iterator[Part]:
    name = settings.stt_model_size
    if settings.stt_backend != "whisper" or name == EMBEDDED:
        return
    folder = models_dir(settings.models_dir)
    size = sizes.of_ears(
        Path(located_ears(name, folder)) / "model.bin",
        known.at(f"whisper/{Path(name).name}/model.bin"),
        settings.stt_compute_type,
    )
    place: Place = "gpu" if settings.stt_device == "cuda" else "ram"
    yield _part("ears", f"Whisper {name}, {settings.stt_compute_type}", size, place)


def _mouth(settings: Settings, known: Catalog, machine: Hardware) -> Iterator[Part]:
    backend: str = settings.tts_backend
    if orpheus_may_speak(settings):
        yield from _orpheus(settings, known, machine)
    if backend == _KOKORO:
        kokoro = known.models[_KOKORO]
        place: Place = "gpu" if settings.kokoro_device == "cuda" else "ram"
        yield Part("mouth", "Kokoro", kokoro.memory_gb, place, "catalogue")
    voice = settings.piper_voice
    if backend not in ("off", "espeak") and voice not in ("", EMBEDDED):
        folder = models_dir(settings.models_dir)
        size = sizes.of_file(located(voice, folder), known.at(voice.removeprefix(f"{folder}/")))
        yield _part("mouth", f"Piper, {Path(voice).stem}", size, "ram")


def _orpheus(settings: Settings, known: Catalog, machine: Hardware) -> Iterator[Part]:
    runs_on = orpheus_runs_on(settings)
    if runs_on == "vllm":
        name, share = settings.tts_model_name, settings.orpheus_gpu_memory_utilization
        yield from _vllm("Orpheus", name, share, "ORPHEUS_GPU_MEMORY_UTILIZATION", known, machine)
    elif runs_on == "llamacpp":
        yield from _llamacpp(
            "Orpheus", settings.orpheus_model_path, settings.orpheus_max_model_len,
            "ORPHEUS_MAX_MODEL_LEN", settings, known, machine,
        )  # fmt: skip
    decoder = settings.orpheus_decoder_path
    size = sizes.of_file(located(decoder, models_dir(settings.models_dir)), known.at(decoder))
    yield _part("Orpheus: decoder", "SNAC", size, "ram")


def _always(settings: Settings) -> Iterator[Part]:
    """The process, and the embedded engines, which are loaded first and stay to stand in."""
    yield Part("process", "Python, the web server, libraries", _PROCESS_GB, "ram", "measured")
    yield Part("voice detector", "Silero", _DETECTOR_GB, "ram", "measured")
    mind = sizes.of_gguf(POCKET / "mind.gguf", None)
    files = [POCKET / "ears" / "model.bin", POCKET / "voice.onnx"]
    taken = (mind.weights.size or 0) + pocket_context(settings) * (mind.cache.size or 0)
    taken += sum(file.stat().st_size for file in files if file.is_file())
    yield Part("stand-ins", "the embedded mind, ears and voice", taken / _GB, "ram", "their files")


def _speed(settings: Settings, known: Catalog, machine: Hardware) -> Speed | None:
    if settings.llm_backend == "vllm":
        size, context = (
            sizes.of_named(known.at(settings.vllm_model_name)),
            settings.vllm_max_model_len,
        )
    elif settings.llm_backend == "llamacpp" and not settings.embedded_mind:
        size, context = _gguf(settings.llm_model_path, settings, known), settings.llm_context
        if size.cache.size is None:
            return None  # a file without what each model says of itself is none
        if machine.gpu_gb and size.on_gpu(settings.llm_gpu_layers) < 1:
            return None  # part of it lies in a memory whose bandwidth isn't told
    else:
        return None
    if not machine.bandwidth_gb_s or not size.weights.size:
        return None
    read = (size.weights.size + (size.cache.size or 0) * context / 2) / _GB
    return Speed(machine.bandwidth_gb_s / read, read, machine.bandwidth_gb_s)


def _gguf(path: str, settings: Settings, known: Catalog) -> MindSize:
    folder = models_dir(settings.models_dir)
    return sizes.of_gguf(located(path, folder), known.at(path.removeprefix(f"{folder}/")))


def _part(name: str, what: str, size: Size, place: Place, share: float = 1.0) -> Part:
    gb = None if size.size is None else size.size * share / _GB
    told = f", {share:.0%}" if share < 1 else ""
    return Part(name, f"{what}{told}", gb, place, size.source)


def _place(name: str) -> Place:
    return "gpu" if name == "gpu" else "ram"
