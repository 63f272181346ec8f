"""Where models lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

SYSTEM = Path("/var/lib/brain/models")
"""Of an appliance: `deploy/install.sh` makes it."""


def models_dir(setting: str, *, system: Path = SYSTEM) -> Path:
    """The folder of the models: `setting`, else the appliance's if it is there, else one's own.

    (An appliance's that isn't for this user's eyes isn't there.)
    """
    if setting:
        return Path(setting)
    try:
        if system.is_dir():
            return system
    except PermissionError:
        pass
    return Path.home() / ".local" / "share" / "brain" / "models"


def located(name: str, folder: Path) -> Path:
    """The file that a setting names: as it stands if it is there, else in `folder`.

    An absolute path is always itself.
    """
    path = Path(name)
    return path if path.is_absolute() or _exists(path) else folder / path


def located_ears(name: str, folder: Path) -> str:
    """The folder of a Whisper model that was put into `folder`, else `name` as it stands."""
    kept = folder / "whisper" / name
    plain = Path(name).name == name and not _exists(Path(name))
    return str(kept) if plain and _exists(kept / "model.bin") else name


def _exists(path: Path) -> bool:
    # Of a name that is too long, or in a folder that is closed to us, pathlib would raise.
    return os.path.exists(path)  # noqa: PTH110
