"""Which engines serve, and whether they really compute where the settings want them to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from brain.engines.recipes.building import EMBEDDED
from brain.ops.doctor.facts import Facts, Library
from brain.ops.doctor.findings import Finding
from brain.settings import Settings

_NAMES = {"vad": "voice detector", "stt": "ears", "llm": "mind", "tts": "mouth",
          "eot": "end of turn"}  # fmt: skip
_BUILD = "build it for CUDA: deploy/jetpack/build-wheels.sh, or deploy/desktop/README.md"
_BUILD_KOKORO = "put the package onnxruntime-gpu in the place of onnxruntime"
_INSTALL = "install the brain with its extras llm, stt and tts"
_INSTALL_VLLM = "install the brain with its extra vllm (Python 3.11 or later)"
# A reason that names the model; others mean those of the profile.
_NAMED_PULL = re.compile(r"(brain models pull \S+) fetch")
_LOADING = (
    ("No module", _INSTALL),
    (
        "cannot open shared object",
        "install the system's package that has this file (apt install …)",
    ),
)


def check(settings: Settings, facts: Facts) -> list[Finding]:
    """Of the engines that serve, if a brain runs; of their libraries in any case."""
    found = []
    if facts.running.is_a == "brain":
        engines: Mapping[str, Mapping[str, Any]] = facts.running.ready["engines"]
        for kind, engine in engines.items():
            found += _engine(settings, kind, engine)
    return found + [finding for library in facts.libraries for finding in _library(
        settings, library, loaded=facts.running.is_a == "brain")]  # fmt: skip


def wants_gpu(settings: Settings, kind: str) -> str:
    """The setting that forces an engine of this kind on the GPU, with its value; "" if none does.

    What nobody set forces nothing: by its default llama.cpp takes a GPU where there is one.
    """
    if kind == "stt" and settings.stt_device == "cuda":
        return f"STT_DEVICE=cuda ({settings.origins['STT_DEVICE']})"
    if kind == "tts" and settings.tts_backend == "kokoro" and settings.kokoro_device == "cuda":
        return f"KOKORO_DEVICE=cuda ({settings.origins['KOKORO_DEVICE']})"
    layers = settings.llm_gpu_layers
    forced = layers != 0 and settings.origins["LLM_GPU_LAYERS"] != "default"
    own = settings.llm_backend == "llamacpp" and not settings.embedded_mind
    if kind == "llm" and own and forced:
        return f"LLM_GPU_LAYERS={layers} ({settings.origins['LLM_GPU_LAYERS']})"
    return ""


def _engine(settings: Settings, kind: str, engine: Mapping[str, Any]) -> list[Finding]:
    name = _NAMES.get(kind, kind)
    active, model = str(engine.get("name", "")), str(engine.get("model", ""))
    device, reason = str(engine.get("device", "")), str(engine.get("reason", ""))
    if engine.get("loading"):
        progress = engine.get("progress") or "on its way"
        told = f"{engine.get('wanted')} is loading ({progress}); {active} {model} serves"
        return [Finding("note", name, told, "wait, then ask again")]
    if not active and kind == "eot":
        told = f"words alone tell when a turn is over: {reason}"
        return [Finding("warning", name, told, "do as it says; it is tried again by itself")]
    if not active:
        return [Finding("error", name, f"nothing serves: {reason}", _INSTALL)]
    serves = f"{active}, {model}, on the {device.upper()}" if device else f"{active}, {model}"
    if device == "remote":
        serves = f"{active}, {model}, on its own server"
    forced = wants_gpu(settings, kind)
    if reason:
        toy = model == EMBEDDED
        stands_in = f"a stand-in serves ({serves}): {reason}"
        todo = f"do as it says ({forced} couldn't be kept)" if forced else "do as it says"
        if "brain models pull" in reason:
            named = _NAMED_PULL.search(reason)
            profile = f"brain models pull --profile {settings.brain_profile}"
            todo = named[1] if named else profile
        todo += "; it is tried again by itself"
        return [Finding("error" if toy or forced else "warning", name, stands_in, todo)]
    if forced and device == "cpu":
        return [Finding("error", name, f"{serves}, though {forced}", _build(kind))]
    return [Finding("ok", name, serves)]


def _library(settings: Settings, library: Library, *, loaded: bool) -> list[Finding]:
    """`loaded`: a brain runs, so that what is wrong here was said of its engine, too."""
    if library.trouble:
        todo = next((todo for words, todo in _LOADING if words in library.trouble), _BUILD)
        if library.name == "vllm" and todo == _INSTALL:
            todo = _INSTALL_VLLM
        return [Finding("error", library.name, f"doesn't load: {library.trouble}", todo)]
    kind = {"llama.cpp": "llm", "ctranslate2": "stt", "kokoro": "tts"}.get(library.name, "")
    forced = wants_gpu(settings, kind)
    if forced and library.gpu is False:
        todo = f"mend the driver, or {_build(kind)}"
        return [Finding("error", library.name, f"finds no GPU, though {forced}", todo)]
    gpu = {True: ", finds the GPU", False: ", CPU alone", None: ""}[library.gpu]
    return [] if loaded and not gpu else [Finding("ok", library.name, f"{library.version}{gpu}")]


def _build(kind: str) -> str:
    return _BUILD_KOKORO if kind == "tts" else _BUILD
