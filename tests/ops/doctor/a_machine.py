"""A healthy machine with a healthy brain, as facts, to be spoilt by a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brain.models import catalog
from brain.models.catalog import Hardware
from brain.ops.doctor.facts import (
    Facts,
    Gpu,
    Library,
    Machine,
    Models,
    RunningBrain,
    Service,
    Unit,
    UsedModel,
)
from brain.ops.doctor.findings import Finding
from brain.ops.memory.parts import plan
from brain.ops.memory.plan import MemoryPlan
from brain.settings import Settings
from brain.settings.layers import Assignment, Layer, profile_layer
from brain.settings.load import resolve

NOW = 1_800_000_000.0
CARD = Gpu("NVIDIA GeForce RTX 3090", "550.90", 25.8, 25.0)


def settings(profile: str = "orin-nx", **values: str) -> Settings:
    own = Layer(
        tuple(
            Assignment(name, value, f"/etc/brain/brain.env:{line}")
            for line, (name, value) in enumerate(
                ({"BRAIN_PROFILE": profile} | values).items(), start=1
            )
        )
    )
    return resolve([profile_layer(profile), own], profile=profile)


def engine(name: str, model: str, device: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "model": model, "device": device, "wanted": name, "loading": False,
        "progress": "", "degraded": False, "reason": "", **more,
    }  # fmt: skip


def engines(**changed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "vad": engine("silero", "Silero VAD 6 (ONNX)", "cpu"),
        "stt": engine("whisper", "small.en", "gpu"),
        "llm": engine("llamacpp", "llama.gguf", "gpu"),
        "tts": engine("piper", "en_US-lessac-medium", "cpu"),
    } | changed


def running(sessions: Any = None, **ready: Any) -> RunningBrain:
    body = {"ready": True, "profile": "orin-nx", "engines": engines(), "loading": [], **ready}
    told = {"robots": {}} if sessions is None else sessions
    return RunningBrain("http://127.0.0.1:8100", "brain", ready=body, sessions=told)


def used(**changed: Any) -> tuple[UsedModel, ...]:
    mind = UsedModel(
        "LLM_MODEL_PATH", "llama.gguf", "/m/llama.gguf", True, "llama-3-8b-q4_k_m", True
    )
    return (replace(mind, **changed),)


def planned(memory_gb: float = 16.0, gpu_gb: float = 0.0, **values: str) -> MemoryPlan:
    """The plan of the Orin's settings there, or on a machine with a card of its own."""
    board = Hardware("this machine", memory_gb, gpu_gb, shared=not gpu_gb)
    return plan(settings(**values), catalog.load(), board)


def facts(**changed: Any) -> Facts:
    healthy = Facts(
        running=running(),
        service=Service(True, Unit("active", "running", "success", since=NOW), log_readable=True),
        machine=Machine("Linux", NOW, 16.0, 12.0, clock_synchronized=True),
        models=Models("/m", used(), {"llama-3-8b-q4_k_m": "there"}, hashed=True),
        plan=planned(),
        libraries=(Library("llama.cpp", "1", gpu=True), Library("ctranslate2", "2", gpu=True)),
        versions={"brain": "0.1"},
        env_changed=NOW - 1,
        addresses=("192.168.1.20",),
    )
    return replace(healthy, **changed)


def only(findings: list[Finding], name: str) -> Finding:
    """The one finding of this name."""
    [found] = [finding for finding in findings if finding.name == name]
    return found
