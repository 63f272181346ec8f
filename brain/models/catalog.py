"""The catalogue: which models there are, and which of them a profile wants."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from brain.models.errors import ModelsError

CATALOG = Path(__file__).parent / "catalog.toml"


@dataclass(frozen=True)
class Model:
    """One model of the catalogue.

    `files`: names or patterns (`fnmatch`) in `repository`, the one that an engine is pointed at
    last. `folder` is theirs in the store, "" for the store itself. `memory_gb`: GB (10^9 bytes)
    that it takes while it runs, roughly. `gated`: its repository asks for a token. What is known of
    that memory by part, 0 where nothing is: `weights_gb`; `cache_bytes`, of one token's keys and
    values; `int8_gb`, of ears that are kept in 8 bits.
    """

    id: str
    about: str
    repository: str
    files: tuple[str, ...]
    licence: str
    memory_gb: float
    folder: str = ""
    gated: bool = False
    weights_gb: float = 0.0
    cache_bytes: int = 0
    int8_gb: float = 0.0

    def place(self, source: str) -> str:
        """Where a file of the repository lies in the store, relative to it."""
        name = PurePosixPath(source).name
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True)
class Hardware:
    """The machine that a profile is written for.

    GB are 10^9 bytes. `gpu_gb`: of a GPU's own memory, 0 without one; `shared`: its GPU has the
    machine's memory. `bandwidth_gb_s`: of the memory in which the mind lies, GB/s; 0: any.
    """

    about: str
    memory_gb: float
    gpu_gb: float = 0.0
    shared: bool = False
    bandwidth_gb_s: float = 0.0


@dataclass(frozen=True)
class Wants:
    """What a profile needs (`wants`), and what may stand in for it (`may`): names of models.
    `machine`: what it is written for."""

    wants: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    machine: Hardware | None = None


@dataclass(frozen=True)
class Catalog:
    """All models and all profiles, by name."""

    models: Mapping[str, Model]
    profiles: Mapping[str, Wants]

    def wanted(self, profile: str) -> list[Model]:
        """The models that `profile` needs. Raises `ModelsError` for a profile without an entry."""
        if profile not in self.profiles:
            raise ModelsError(
                f"The catalogue has no models for the profile {profile!r}; it has some for "
                f"{', '.join(self.profiles)}. Name the models: brain models list shows them."
            )
        return [self.models[name] for name in self.profiles[profile].wants]

    def named(self, names: Iterable[str]) -> list[Model]:
        """Models by their names, each once. Raises `ModelsError` for one that isn't there."""
        unknown = sorted({name for name in names if name not in self.models})
        if unknown:
            near = {like for name in unknown for like in self._like(name)}
            hint = f"did you mean {' or '.join(sorted(near))}? " if near else ""
            raise ModelsError(
                f"The catalogue has no model {', '.join(unknown)}: {hint}brain models list shows "
                "those that it has."
            )
        return [self.models[name] for name in dict.fromkeys(names)]

    def _like(self, name: str) -> list[str]:
        begins = [known for known in self.models if known.startswith(f"{name}-")]
        return begins or difflib.get_close_matches(name, self.models, n=1)

    def at(self, *places: str) -> Model | None:
        """The model of which a file lies at one of `places` in the store (relative to it), or whose
        repository that is."""
        for model in self.models.values():
            files = (model.place(file) for file in model.files)
            if model.repository in places or any(file in places for file in files):
                return model
        return None


def load(path: Path = CATALOG) -> Catalog:
    """Read a catalogue. Raises `ModelsError` for a file that isn't one."""
    try:
        parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
        data = parser.loads(path.read_text(encoding="utf-8"))
        models = {name: _model(name, entry) for name, entry in data["models"].items()}
        profiles = {
            name: Wants(
                tuple(entry["wants"]),
                tuple(entry.get("may", ())),
                Hardware(**entry["machine"]) if "machine" in entry else None,
            )
            for name, entry in data["profiles"].items()
        }
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelsError(f"{path} is no catalogue of models: {error}") from error
    for name, wants in profiles.items():
        for model in (*wants.wants, *wants.may):
            if model not in models:
                raise ModelsError(f"{path}: the profile {name} names {model}, which isn't there")
    return Catalog(models, profiles)


def _model(name: str, entry: dict[str, Any]) -> Model:
    known = {**entry, "files": tuple(entry["files"]), "memory_gb": float(entry["memory_gb"])}
    return Model(id=name, **known)
