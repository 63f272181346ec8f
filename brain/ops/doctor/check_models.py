"""Whether the models are there and whole, and whether the machine has room for them."""

from __future__ import annotations

from brain.ops.doctor.facts import Facts, Machine, Models, UsedModel
from brain.ops.doctor.findings import Finding
from brain.settings import Settings
from brain.settings.budget import excess, reserved

_SYSTEM_GB = 1.5
"""What the system takes beside the brain: a headless Linux, with its page tables and buffers."""
_PROCESS_GB = 0.5
"""The brain's own process with the embedded models: 0.3 to 0.45 GB (benchmarks/RESULTS.md)."""


def check(settings: Settings, facts: Facts) -> list[Finding]:
    """Of the files, then of the memory budget."""
    return [
        *_files(settings, facts.models, _serving(facts)),
        *_budget(settings, facts.models, facts.machine),
    ]


def _serving(facts: Facts) -> set[str]:
    """The settings whose models the brain that runs has loaded, from wherever they came."""
    engines = facts.running.ready.get("engines", {})
    kinds = {"LLM_MODEL_PATH": "llm", "STT_MODEL_SIZE": "stt", "PIPER_VOICE": "tts"}
    well = {kind for kind, engine in engines.items()
            if not engine.get("reason") and not engine.get("loading")}  # fmt: skip
    return {setting for setting, kind in kinds.items() if kind in well}


def _files(settings: Settings, models: Models, serving: set[str]) -> list[Finding]:
    if models.trouble:
        return [Finding("error", "models", models.trouble)]
    profile = settings.brain_profile
    pull = f"brain models pull --profile {profile}"
    found = []
    for one in models.used:
        if not one.there and one.setting not in serving:
            told = f"{one.setting}={one.value}: there is no {one.path}"
            todo = pull if one.model else "put it there, or name another"
            found.append(Finding("error", "models", told, todo))
    used = {one.model for one in models.used}
    for name, state in models.states.items():
        if state == "changed":
            told = f"{name} is damaged: it isn't what was fetched"
            found.append(Finding("error", "models", told, f"brain models pull {name}"))
        elif state == "partly" and name in used:
            found.append(Finding("error", "models", f"{name} isn't whole", pull))
        elif state == "unknown":
            told = f"{name} wasn't fetched by the brain, so nothing is known to compare it with"
            found.append(Finding("note", "models", told, f"brain models pull {name} compares it"))
        elif state == "missing" and name not in used:
            told = f"{name} isn't there; the settings use another in its place"
            found.append(Finding("note", "models", told))
    if not found:
        whole = [name for name, state in models.states.items() if state == "there"]
        how = "SHA-256 right" if models.hashed else "sizes right (their bytes weren't read)"
        told = f"{', '.join(whole)}: {how}" if whole else "none needed but the embedded ones"
        found.append(Finding("ok", "models", told))
    return found


def _budget(settings: Settings, models: Models, machine: Machine) -> list[Finding]:
    gpu = machine.gpu
    on_gpu = [one for one in models.used if one.on_gpu and gpu is not None and not gpu.shared]
    in_memory = [one for one in models.used if one not in on_gpu]
    found = []
    if machine.memory_gb is not None:
        needed = _PROCESS_GB + _SYSTEM_GB + sum(one.memory_gb for one in in_memory)
        told = f"{needed:.1f} GB needed ({_told(in_memory)}), {machine.memory_gb:.1f} GB there"
        found.append(_judged("memory", told, needed, machine.memory_gb))
    share = reserved(settings).combined
    if gpu is not None and gpu.total_gb is not None and not gpu.shared and (on_gpu or share):
        needed = sum(one.memory_gb for one in on_gpu) + share * gpu.total_gb
        told = f"{needed:.1f} GB needed on the GPU ({_told(on_gpu, share)}), {gpu.total_gb:.1f} GB "
        found.append(_judged("gpu-memory", f"{told}there", needed, gpu.total_gb))
    if over := excess(settings):
        found.append(Finding("error", "gpu-memory", over))
    return found


def _judged(name: str, told: str, needed: float, there: float) -> Finding:
    smaller = "choose smaller models (brain models list), or less context (LLM_CONTEXT)"
    if needed > there:
        return Finding("error", name, told, smaller)
    if needed > 0.9 * there:
        return Finding("warning", name, f"{told}: hardly any is left", smaller)
    return Finding("ok", name, told)


def _told(models: list[UsedModel], share: float = 0.0) -> str:
    parts = [f"{one.model or one.value} {one.memory_gb:.1f}" for one in models]
    if share:
        parts.append(f"vLLM's share {share:g} of it")
    return ", ".join(parts) or "embedded models"
