"""The models that the settings name, and whether what the profile wants is whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brain.engines.recipes.building import EMBEDDED
from brain.engines.recipes.endpointing import end_of_turn_file
from brain.models import catalog, gguf
from brain.models.catalog import Catalog
from brain.models.errors import ModelsError
from brain.models.place import located, located_ears, models_dir
from brain.models.store import Progress, Quiet, State, Store
from brain.ops.doctor.facts import Models, UsedModel
from brain.settings import Settings
from brain.settings.budget import orpheus_chosen, orpheus_runs_on


def look(settings: Settings, *, hashed: bool, progress: Progress | None = None) -> Models:
    """The models. `hashed`: every byte is read, which takes minutes for many GB. Never raises."""
    folder = models_dir(settings.models_dir)
    try:
        known = catalog.load()
        used = used_models(settings, known)
        states = _states(settings, known, used, Store(folder), hashed=hashed, progress=progress)
    except (ModelsError, OSError) as error:
        return Models(str(folder), trouble=str(error))
    return Models(str(folder), used, states, hashed)


def used_models(settings: Settings, known: Catalog) -> tuple[UsedModel, ...]:
    """The models that the settings name for the engines in this process; none for embedded ones."""
    folder = models_dir(settings.models_dir)
    found = []
    mind, ears, voice = settings.llm_model_path, settings.stt_model_size, settings.piper_voice
    if settings.llm_backend == "llamacpp" and mind != EMBEDDED:
        on_gpu = settings.llm_gpu_layers != 0
        found.append(_used(known, folder, "LLM_MODEL_PATH", mind, located(mind, folder), on_gpu))
        if eyes := settings.llm_mmproj_path:
            path = located(eyes, folder)
            found.append(_used(known, folder, "LLM_MMPROJ_PATH", eyes, path, on_gpu))
    if settings.stt_backend == "whisper" and ears != EMBEDDED:
        path = Path(located_ears(ears, folder))
        if not path.is_absolute() and not path.exists():
            path = folder / "whisper" / ears
        on_gpu = settings.stt_device == "cuda"
        found.append(_used(known, folder, "STT_MODEL_SIZE", ears, path / "model.bin", on_gpu))
    if settings.tts_backend not in ("off", "espeak") and voice not in ("", EMBEDDED):
        found.append(_used(known, folder, "PIPER_VOICE", voice, located(voice, folder), False))
    if settings.performance_mode and orpheus_chosen(settings):
        model, decoder = settings.orpheus_model_path, settings.orpheus_decoder_path
        if orpheus_runs_on(settings) == "llamacpp":
            on_gpu, path = settings.llm_gpu_layers != 0, located(model, folder)
            found.append(_used(known, folder, "ORPHEUS_MODEL_PATH", model, path, on_gpu))
        path = located(decoder, folder)
        found.append(_used(known, folder, "ORPHEUS_DECODER_PATH", decoder, path, False))
    if settings.tts_backend == "kokoro":
        on_gpu = settings.kokoro_device == "cuda"
        for setting in ("KOKORO_MODEL_PATH", "KOKORO_VOICES_PATH"):
            name = str(getattr(settings, setting.lower()))
            found.append(_used(known, folder, setting, name, located(name, folder), on_gpu))
    if settings.endpointing == "adaptive" and settings.endpointing_model:
        name, path = settings.endpointing_model, end_of_turn_file(settings)
        judge = _used(known, folder, "ENDPOINTING_MODEL", name, path, False)
        found.append(replace(judge, model=name) if name in known.models else judge)
    profile = known.profiles.get(settings.brain_profile)
    wants = set(profile.wants) if profile else set()
    return tuple(replace(one, extra=bool(one.model) and one.model not in wants) for one in found)


def _used(
    known: Catalog, folder: Path, setting: str, value: str, path: Path, on_gpu: bool
) -> UsedModel:
    name = value.removeprefix(f"{folder}/")
    model = known.at(name, f"whisper/{value}/model.bin")
    there = path.is_file()
    return UsedModel(
        setting,
        value,
        str(path),
        there,
        model.id if model is not None else "",
        on_gpu,
        readable=not there or path.suffix != ".gguf" or gguf.read(path) is not None,
    )


def _states(
    settings: Settings,
    known: Catalog,
    used: tuple[UsedModel, ...],
    store: Store,
    *,
    hashed: bool,
    progress: Progress | None,
) -> dict[str, State]:
    if settings.brain_profile not in known.profiles:
        return {}
    pinned = store.pins()
    wanted = known.wanted(settings.brain_profile)
    wanted += known.named([one.model for one in used if one.extra])
    states: dict[str, State] = {model.id: store.state(model, pinned) for model in wanted}
    if hashed:
        whole = [name for name, state in states.items() if state == "there"]
        for finding in store.verify(whole, progress or Quiet()):
            if finding.state != "there":
                states[finding.model] = finding.state
    return states
