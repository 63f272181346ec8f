"""Pins: what a model's files were when they first came, so that they stay the same from then on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brain.models.errors import ModelsError

FILE = "pins.json"
_VERSION = 1


@dataclass(frozen=True)
class PinnedFile:
    """A file of the store: its name in the repository, its size in bytes, its SHA-256."""

    source: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Pin:
    """A model as it came: `revision` is the hub's commit, "" where it was brought by hand.

    `files` by their place in the store, in the order in which they are put there.
    """

    repository: str
    revision: str
    files: Mapping[str, PinnedFile]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def read(folder: Path) -> dict[str, Pin]:
    """The pins of a store, by model; none where there is no file. Raises `ModelsError`."""
    path = folder / FILE
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelsError(
            f"{path} can't be read ({error}): put it right, or delete it; what lies beside it is "
            "then compared with the hub."
        ) from error
    try:
        if data["version"] != _VERSION:
            raise ModelsError(f"{path} is of another version of the brain ({data['version']}).")
        return {name: _pin(entry) for name, entry in data["models"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelsError(f"{path} isn't a list of pins ({error!r}).") from error


def _pin(entry: dict[str, Any]) -> Pin:
    files = {}
    for place, file in entry["files"].items():
        if Path(place).is_absolute() or ".." in Path(place).parts:
            # The list may come from a stick.
            raise ValueError(f"{place!r} is outside the store")
        size, sha256 = int(file["size"]), str(file["sha256"])
        if size < 0 or len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise ValueError(f"{place!r} has no SHA-256 or no size")
        files[place] = PinnedFile(str(file["source"]), size, sha256)
    return Pin(str(entry["repository"]), str(entry["revision"]), files)


def write(folder: Path, pins: Mapping[str, Pin]) -> None:
    """Replace the pins of a store at once: a power cut leaves the old ones or the new ones."""
    models = {name: asdict(pin) for name, pin in sorted(pins.items())}
    text = json.dumps({"version": _VERSION, "models": models}, indent=2) + "\n"
    partial = folder / f".{FILE}.part"
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    settle(partial, folder / FILE)


def settle(partial: Path, final: Path) -> None:
    """Give a whole file its name, and have the disk know of it. Raises `OSError`."""
    share(partial, final.parent)
    partial.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def share(path: Path, folder: Path) -> None:
    """Let whoever may read `folder` read `path`, too, whatever the umask of who made it: the brain
    is another user than the one who fetches its models. Root gives it to the folder's owner."""
    around, own = folder.stat(), path.stat()
    readable = 0o555 if path.is_dir() else 0o444
    with contextlib.suppress(OSError):  # a stick with FAT knows no owners and no modes
        if os.geteuid() == 0:
            os.chown(path, around.st_uid, around.st_gid)
        path.chmod(own.st_mode & 0o777 | around.st_mode & readable)
