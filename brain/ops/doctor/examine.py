"""The whole examination: facts gathered, all checks made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from brain.models import catalog
from brain.models.errors import ModelsError
from brain.models.store import Progress
from brain.ops.announce import own_interfaces, reachable
from brain.ops.doctor import (
    check_engines,
    check_machine,
    check_memory,
    check_models,
    check_service,
    check_settings,
    check_sound,
    libraries,
    local_brain,
    machine,
    models,
    preflight,
    service,
)
from brain.ops.doctor.facts import Facts, Machine, Service
from brain.ops.doctor.findings import Finding
from brain.ops.memory.parts import plan
from brain.ops.memory.plan import MemoryPlan
from brain.ops.memory.plans import hardware_of
from brain.settings import Settings
from brain.settings.budget import reserved
from brain.settings.layers import config_dir
from brain.settings.places import SERVICE_DIR, state_dir


def gather(settings: Settings, *, quick: bool = False, progress: Progress | None = None) -> Facts:
    """Read this machine. `quick`: models aren't read byte by byte, nor the preflight run.

    Never raises for what it finds.
    """
    serving = service.look()
    folders = {"STATE_DIR": _state_dir(settings, serving)}
    of_models = models.look(settings, hashed=not quick, progress=progress)
    folders["MODELS_DIR"] = Path(of_models.folder)
    around = machine.look(folders)
    on_vllm = reserved(settings).combined > 0
    on_gpu = any(one.on_gpu for one in of_models.used)
    board = bool(around.l4t)
    access = local_brain.access(settings)
    return Facts(
        running=local_brain.look(settings),
        service=serving,
        machine=around,
        models=of_models,
        plan=_plan(settings, around),
        libraries=libraries.tried(needed_libraries(settings)),
        versions=libraries.versions(),
        env_changed=_env_changed(),
        addresses=_addresses("127.0.0.1" if access.local_only else settings.server_host),
        open_to_all=access.open_to_all,
        access_problems=access.problems,
        preflight=()
        if quick
        else preflight.look(
            jetson=board, desktop=(on_gpu or on_vllm) and not board, vllm=on_vllm and not on_gpu
        ),
    )


def findings(settings: Settings, facts: Facts) -> list[Finding]:
    """All checks, in the order in which one would ask."""
    return [
        *check_settings.check(settings, facts),
        *check_service.check(facts),
        *check_engines.check(settings, facts),
        *check_models.check(settings, facts),
        *check_memory.check(settings, facts),
        *check_sound.check(facts.running),
        *check_machine.check(facts),
    ]


def needed_libraries(settings: Settings) -> Iterable[str]:
    """Those of the engines that the settings ask for, and of the embedded ones below them, which a
    brain whose engines are elsewhere may go without."""
    yield "onnxruntime"
    elsewhere = settings.llm_backend in ("ollama", "openai")
    yield from _own(("llama.cpp",), elsewhere=elsewhere)
    yield from _own(("ctranslate2", "faster-whisper"), elsewhere=settings.stt_backend == "openai")
    if settings.tts_backend not in ("off", "espeak"):
        yield from _own(("piper",), elsewhere=settings.tts_backend == "openai")
    if settings.tts_backend == "kokoro":
        yield "kokoro"
    if settings.llm_backend == "vllm":
        yield "vllm"
    if "openai" in (settings.llm_backend, settings.stt_backend, settings.tts_backend):
        yield "openai"


def _own(names: Iterable[str], *, elsewhere: bool) -> Iterable[str]:
    return (name for name in names if not elsewhere or libraries.installed(name))


def _plan(settings: Settings, around: Machine) -> MemoryPlan | None:
    try:
        return plan(settings, catalog.load(), hardware_of(around))
    except ModelsError:  # which is told of the models
        return None


def _state_dir(settings: Settings, serving: Service) -> Path:
    """The service's, whoever asks; where there is none, that of the one who asks."""
    if not settings.state_dir and serving.unit is not None:
        return SERVICE_DIR
    return state_dir(settings, os.environ)


def _env_changed() -> float | None:
    """When the files of settings were last written to."""
    times = []
    for name in ("brain.env", "override.env"):
        with contextlib.suppress(OSError):
            times.append((config_dir(os.environ) / name).stat().st_mtime)
    return max(times, default=None)


def _addresses(host: str) -> tuple[str, ...] | None:
    """Where a socket that is bound to `host` is reached from other machines; None: nobody knows."""
    try:
        return tuple(interface.address for interface in reachable(host, own_interfaces()))
    except (ValueError, OSError):  # a name rather than an address
        return None
