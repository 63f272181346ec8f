"""What `/health` and `/ready` say, from the settings and the state of the engines. Pure.

`/health` has the shape that the supervisor knows; `/ready` is for probes and for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from brain.engines.gpu_memory import Filled
from brain.engines.ladder import EngineState, Kind
from brain.settings import Settings, budget
from brain.settings.access import Access

# The engines' own account of themselves is what is reported.

_GIB = 1 << 30
# Robots are answered without.
_DISPENSABLE: tuple[Kind, ...] = ("eot",)

_READ_AT_THE_START = (
    "Settings are read at the start: mend them, then restart the brain (systemctl restart brain)."
)


@dataclass(frozen=True)
class Report:
    """An answer: HTTP status and JSON body."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class HistoryState:
    """Whether conversations outlive the brain. `store`: in what (empty: they don't); `reason`: why
    they don't though they should; `note`: what a person should know of even so.
    """

    store: str = ""
    reason: str = ""
    note: str = ""


def health(
    settings: Settings,
    engines: Sequence[EngineState],
    *,
    orpheus_vram_free_gb: float | None = None,
    counters: Mapping[str, Mapping[str, int]] | None = None,
) -> Report:
    """The supervisor's `/health`: 200, or 503 while the selected language model can't be reached.

    That a lower rung answers in its stead does not make it reached. `ollama`: its server is chosen
    and there, if only to fetch the model. `orpheus_enabled`: it may speak, if it is there.
    `orpheus_vram_free_gb`: free GPU memory in GB, None where it isn't known. `counters`: objects
    added as they stand (`plan_admission`, `converse_sessions`, `speculation`, `partials`), by those
    who count.
    """
    llm = _of(engines, "llm")
    stt = _of(engines, "stt")
    tts = _of(engines, "tts")
    reached = llm is not None and as_wanted(llm)
    model = selected_model(settings, llm)
    body: dict[str, Any] = {
        "status": "ok" if reached else "degraded",
        "model": model,
        "llm_model": model,
        "llm_backend": settings.llm_backend,
        "llm_engine_loaded": reached,
        "model_available": reached,
        "ollama": settings.llm_backend == "ollama" and (reached or _being_fetched(llm)),
        "auto_pull_ollama_model": settings.auto_pull_ollama_model,
        "profile": settings.brain_profile,
        "resource_profile": "performance" if settings.performance_mode else "conservative",
        "performance_mode": settings.performance_mode,
        "orpheus_enabled": budget.orpheus_may_speak(settings),
        "orpheus_vram_free_gb": orpheus_vram_free_gb,
        "gpu_budget": gpu_budget(settings),
        "ai": {
            "stt": {**_ears(settings, stt), "loaded": stt is not None and as_wanted(stt)},
            "tts": {
                "backend_pref": settings.tts_backend,
                "backend_active": tts.active if tts is not None and tts.active else "off",
                "loaded": tts is not None and bool(tts.active) and tts.active != "off",
            },
        },
    }
    body.update(counters or {})
    return Report(200 if reached else 503, body)


def ready(
    settings: Settings,
    engines: Sequence[EngineState],
    *,
    version: str,
    stopping: bool = False,
    history: HistoryState | None = None,
    access: Access | None = None,
    gpu: Filled | None = None,
) -> Report:
    """For probes: 200 once every wanted engine is warm or given up on, and one of each kind serves;
    503 before, and at the end.

    A degraded brain is ready: it answers its robots. One without any ears isn't (`missing`): even
    the embedded ones are ill. `degraded` and each engine's `reason` say what isn't as it was asked
    for, its `progress` how far its loading is (a download, say), its `endpoints` which of its
    servers elsewhere are up and why the others aren't, `problems` what was wrong with the
    settings, and `advice` what to do about those. `history`: None is none that outlives the brain.
    `access`: None is open to all; a brain that can't let its robots in, for want of a token or a
    certificate, is degraded. `gpu`: its memory, None where it isn't known.
    """
    history, access = history or HistoryState(), access or Access()
    loading = [engine.kind for engine in engines if engine.loading]
    missing = [
        engine.kind
        for engine in engines
        if not engine.active and not engine.loading and engine.kind not in _DISPENSABLE
    ]
    is_ready = bool(engines) and not loading and not missing and not stopping
    body = {
        "ready": is_ready,
        "stopping": stopping,
        "degraded": (
            any(degraded(engine) for engine in engines)
            or bool(history.reason)
            or access.locked
            or access.local_only
            or any(problem.severity == "error" for problem in settings.problems)
        ),
        "loading": loading,
        "missing": missing,
        "profile": settings.brain_profile,
        "version": version,
        "engines": {
            engine.kind: {
                "name": engine.active,
                "model": engine.model,
                "device": engine.device,
                "wanted": engine.wanted,
                "loading": engine.loading,
                "progress": engine.progress,
                "degraded": degraded(engine),
                "reason": engine.reason or engine.lacks,
                "endpoints": [asdict(endpoint) for endpoint in engine.endpoints],
            }
            for engine in engines
        },
        "gpu": {
            "total_gb": None if gpu is None else round(gpu.total / _GIB, 2),
            "free_gb": None if gpu is None else round(gpu.free / _GIB, 2),
            "shares": gpu_shares(settings, engines),
            "cap": settings.gpu_utilization_cap,
        },
        "history": {
            "store": history.store if history.store and not history.reason else "memory",
            "degraded": bool(history.reason),
            "reason": history.reason,
            "note": history.note,
        },
        "access": {
            "token": not access.open_to_all,
            "tls": access.tls is not None,
            "locked": access.locked,
            "local_only": access.local_only,
        },
        "problems": [str(problem) for problem in settings.problems],
        "advice": _READ_AT_THE_START if settings.problems else "",
    }
    return Report(200 if is_ready else 503, body)


def as_wanted(engine: EngineState) -> bool:
    """Whether the engine that was asked for serves, with the model that was asked for."""
    return bool(engine.active) and not engine.loading and not engine.reason


def degraded(engine: EngineState) -> bool:
    """Whether the wanted engine was given up on, for now, or goes without a part of it."""
    return bool(engine.reason or engine.lacks) and not engine.loading


def selected_model(settings: Settings, engine: EngineState | None = None) -> str:
    """The language model that the settings ask for, as its backend names it.

    Where they leave the choice to an OpenAI-compatible server, it is what `engine` found there.
    """
    if settings.llm_backend == "vllm":
        return settings.vllm_model_name
    if settings.llm_backend == "llamacpp":
        return PurePath(settings.llm_model_path).name
    if settings.llm_backend == "ollama":
        return settings.model_name
    found = engine.model if engine is not None and as_wanted(engine) else ""
    return settings.openai_model or found


def gpu_shares(settings: Settings, engines: Sequence[EngineState]) -> Mapping[str, float]:
    """The shares of the GPU, 0..1, that vLLM really holds now in this brain, by the engine's kind.

    What llama.cpp and Whisper have there is no share: it is as much as their models need.
    """
    mind, mouth = _of(engines, "llm"), _of(engines, "tts")
    taken = budget.reserved(settings)
    shares = {}
    if mind is not None and mind.active == "vllm" and taken.qwen:
        shares["llm"] = taken.qwen
    if mouth is not None and mouth.active == "orpheus" and taken.orpheus:
        shares["tts"] = taken.orpheus
    return shares


def _ears(settings: Settings, engine: EngineState | None) -> Mapping[str, str]:
    """What the ears are, as the settings have it; on another machine, what is known of them."""
    if settings.stt_backend == "openai":
        found = engine.model if engine is not None and as_wanted(engine) else ""
        model = settings.stt_openai_model or found
        return {"model_size": model, "device": "remote", "compute_type": ""}
    return {
        "model_size": settings.stt_model_size,
        "device": settings.stt_device,
        "compute_type": settings.stt_compute_type,
    }


def gpu_budget(settings: Settings) -> Mapping[str, Any]:
    """The shares of the GPU that vLLM and Orpheus would take, 0..1, as the settings have it.

    Orpheus keeps its share while it may be switched on, as in the supervisor's example.
    """
    shares = budget.configured(settings)
    return {
        "qwen_backend": settings.llm_backend,
        "qwen_utilization": shares.qwen,
        "orpheus_utilization": shares.orpheus,
        "combined_utilization": shares.combined,
        "cap": shares.cap,
    }


def _being_fetched(engine: EngineState | None) -> bool:
    return engine is not None and bool(engine.progress)


def _of(engines: Sequence[EngineState], kind: Kind) -> EngineState | None:
    return next((engine for engine in engines if engine.kind == kind), None)
