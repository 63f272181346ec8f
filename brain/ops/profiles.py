"""The profiles: which is in force and why, which others there are, and what each needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from brain.models import catalog
from brain.models.errors import ModelsError
from brain.models.place import models_dir
from brain.models.store import Store
from brain.ops.doctor import models as doctor_models
from brain.settings import Settings, report
from brain.settings.layers import (
    PROFILES,
    Assignment,
    config_dir,
    flags_layer,
    profile_layer,
    profile_names,
)
from brain.settings.load import layers_above_the_profile, resolve

_PROFILE = "BRAIN_PROFILE"
_EXTRAS = {"llm": "llama_cpp", "stt": "faster_whisper", "tts": "piper"}
"""By the extra of the distribution, the package that it brings."""


@dataclass(frozen=True)
class Profile:
    """One that comes with the brain. `about`: the first line of its file. `missing`: of `wants`,
    the catalogue's models, those that aren't there whole."""

    name: str
    about: str
    wants: tuple[str, ...]
    missing: tuple[str, ...]


def said(environ: Mapping[str, str], flags: Iterable[Assignment] = ()) -> list[Assignment]:
    """Whoever names a profile, lowest first: the last one that there is decides."""
    layers = layers_above_the_profile(flags, environ, config_dir(environ), Path())
    return [one for layer in layers for one in layer.assignments
            if one.name == _PROFILE and one.value.strip()]  # fmt: skip


def profiles(settings: Settings) -> list[Profile]:
    """All of them; raises `ModelsError` for a catalogue or a store that can't be read."""
    known, store = catalog.load(), Store(models_dir(settings.models_dir))
    pinned = store.pins()
    found = []
    for name in profile_names():
        models = known.wanted(name) if name in known.profiles else []
        missing = [one.id for one in models if store.state(one, pinned) not in ("there", "unknown")]
        found.append(Profile(name, _about(name), tuple(one.id for one in models), tuple(missing)))
    return found


def own_settings(settings: Settings) -> list[report.Row]:
    """The settings that neither the profile nor a default decides."""
    lower = ("default", f"profile {settings.brain_profile}")
    return [row for row in report.rows(settings)
            if row.origin not in lower and row.name != _PROFILE]  # fmt: skip


def as_profile(name: str, settings: Settings) -> Settings:
    """The profile by itself, on this machine: with its place of models and nothing else."""
    place = Assignment("MODELS_DIR", settings.models_dir, "here")
    return resolve([profile_layer(name), flags_layer([place])], profile=name)


def lacks(settings: Settings) -> list[str]:
    """What these settings need and this machine hasn't, each in a sentence with what to do.

    Cheap: no library is loaded. `brain doctor` tries them.
    """
    told = []
    try:
        known = catalog.load()
        used = doctor_models.used_models(settings, known)
    except ModelsError as error:
        return [str(error)]
    absent = [one for one in used if not one.there]
    if absent:
        names = list(dict.fromkeys(one.model or one.value for one in absent))
        profile = known.profiles.get(settings.brain_profile)
        wanted = profile.wants if profile is not None else ()
        pull = f"brain models pull --profile {settings.brain_profile}"
        if more := [name for name in names if name in known.models and name not in wanted]:
            pull += f"; brain models pull {' '.join(more)}"
        told.append(f"not there yet: {', '.join(names)}; {pull}")
    extras = [extra for extra, package in _EXTRAS.items() if not _installed(package)]
    if extras:
        told.append(f"not installed: the extra {', '.join(extras)}; deploy/install.sh brings it")
    if settings.llm_backend == "vllm" and not _installed("vllm"):
        told.append("not installed: the extra vllm; the pocket brain will answer")
    if any(one.on_gpu for one in used):
        told.append("it wants a GPU; brain doctor says whether it is found")
    return told


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _about(name: str) -> str:
    lines = (PROFILES / f"{name}.env").read_text(encoding="utf-8").splitlines()
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    text = " ".join(comment).removeprefix(f"{name}: ")
    return text.split(". ")[0].rstrip(".")
