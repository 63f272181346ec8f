"""Whether the models are there and whole."""

from __future__ import annotations

from brain.ops.doctor.facts import Facts, Models
from brain.ops.doctor.findings import Finding
from brain.settings import Settings


def check(settings: Settings, facts: Facts) -> list[Finding]:
    """Of the files."""
    return _files(settings, facts.models, _serving(facts))


def _serving(facts: Facts) -> set[str]:
    """The settings whose models the brain that runs has loaded, from wherever they came."""
    engines = facts.running.ready.get("engines", {})
    kinds = {
        "LLM_MODEL_PATH": "llm", "STT_MODEL_SIZE": "stt", "PIPER_VOICE": "tts",
        "KOKORO_MODEL_PATH": "tts", "KOKORO_VOICES_PATH": "tts",
        "ENDPOINTING_MODEL": "eot",
    }  # fmt: skip
    if engines.get("tts", {}).get("name") == "orpheus":
        kinds |= {"ORPHEUS_MODEL_PATH": "tts", "ORPHEUS_DECODER_PATH": "tts"}
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
            todo = f"brain models pull {one.model}" if one.extra else pull
            todo = todo if one.model else "put it there, or name another"
            found.append(Finding("error", "models", told, todo))
        elif not one.readable:
            told = f"{one.setting}={one.value}: {one.path} is no GGUF file, or is cut off"
            todo = f"brain models pull {one.model}" if one.model else "fetch it anew"
            found.append(Finding("error", "models", told, f"{todo}, then restart the brain"))
    used = {one.model for one in models.used}
    extra = {one.model for one in models.used if one.extra}
    for name, state in models.states.items():
        if state == "changed":
            told = f"{name} is damaged: it isn't what was fetched"
            found.append(Finding("error", "models", told, f"brain models pull {name}"))
        elif state == "partly" and name in used:
            todo = f"brain models pull {name}" if name in extra else pull
            found.append(Finding("error", "models", f"{name} isn't whole", todo))
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
