"""Models in the hub's form (a folder of files), as settings name them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from brain.engines.ports import EngineUnavailable
from brain.models import catalog
from brain.models.errors import ModelsError
from brain.models.place import models_dir

_CONFIG = "config.json"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def hub_model(name: str, setting: str, folder: str) -> str:
    """What an engine is pointed at for `name`: a folder, or, where there is none, the repository.

    A folder is one as it stands, or in MODELS_DIR (`folder` is that setting), where `brain models
    pull` puts a repository of the catalogue too. Raises `EngineUnavailable` if it can be neither.
    """
    found = hub_folder(name, folder)
    if _whole(found):
        return str(found)
    if Path(name).is_absolute() or name.startswith((".", "~")) or not _REPOSITORY.fullmatch(name):
        raise EngineUnavailable(
            f"There is no model {name}: {setting} names a repository on the hub (OWNER/NAME), or a "
            f"folder with its files, {_CONFIG} among them."
        )
    return name


def hub_folder(name: str, folder: str) -> Path:
    """Where the files of `name` lie, or would."""
    path, store = Path(name), models_dir(folder)
    places = [path, store / path]
    try:
        known = catalog.load().models.values()
        places += [store / model.folder for model in known if model.repository == name]
    except ModelsError:
        pass  # Who says so is the doctor.
    return next((place for place in places if _whole(place)), places[-1])


def _whole(folder: Path) -> bool:
    # Of a name that is too long, or in a folder that is closed to us, pathlib would raise.
    return os.path.isfile(folder / _CONFIG)  # noqa: PTH113
