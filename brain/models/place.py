"""Where models lie on this machine."""

from __future__ import annotations

from pathlib import Path

SYSTEM = Path("/var/lib/brain/models")
"""Of an appliance: `deploy/install.sh` makes it."""


def models_dir(setting: str, *, system: Path = SYSTEM) -> Path:
    """The folder of the models: `setting`, else the appliance's if it is there, else one's own."""
    if setting:
        return Path(setting)
    return system if system.is_dir() else Path.home() / ".local" / "share" / "brain" / "models"


def located(name: str, folder: Path) -> Path:
    """The file that a setting names: as it stands if it is there, else in `folder`.

    An absolute path is always itself.
    """
    path = Path(name)
    return path if path.is_absolute() or path.exists() else folder / path


def located_ears(name: str, folder: Path) -> str:
    """The folder of a Whisper model that was put into `folder`, else `name` as it stands."""
    kept = folder / "whisper" / name
    plain = Path(name).name == name and not Path(name).exists()
    return str(kept) if plain and (kept / "model.bin").is_file() else name
