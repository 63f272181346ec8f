"""The store: a folder of models, with a list of what each of its files must be."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from brain.models import pins
from brain.models.catalog import Model
from brain.models.digest import digests
from brain.models.errors import ModelsError
from brain.models.pins import Pin

PARTIAL = ".partial"
_MARGIN = 256 << 20
"""Bytes of a disk that stay free: a full one takes the logs and the history down with it."""
State = Literal["there", "partly", "missing", "unknown", "changed"]
"""of a model: whole; some files; none; there but pinned by nobody; not what was pinned."""


class Progress(Protocol):
    """Whoever shows how far it is. Called from several threads."""

    def file(self, name: str, size: int, done: int) -> Callable[[int], None]:
        """A file of `size` bytes is begun, with `done` there; the result takes bytes more."""


class Quiet:
    """A `Progress` that nobody looks at."""

    def file(self, name: str, size: int, done: int) -> Callable[[int], None]:  # noqa: ARG002
        return lambda _: None


@dataclass(frozen=True)
class Finding:
    """What `verify` found of one file of one model; `place` as in the store."""

    model: str
    place: str
    state: State


@dataclass(frozen=True)
class Store:
    """A folder of models. Nothing is made before something is written."""

    folder: Path

    def path(self, place: str) -> Path:
        return self.folder / place

    def partial(self, key: str) -> Path:
        """Where a file lies while it comes; `key` says which content it is to have."""
        return self.folder / PARTIAL / key

    def pins(self) -> dict[str, Pin]:
        """As `pins.read`."""
        return pins.read(self.folder)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes the store meanwhile. Raises `ModelsError`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / ".lock").open("a")
        except OSError as error:
            raise ModelsError(
                f"The folder of the models can't be written ({error}): run this as its owner "
                "(sudo), or set MODELS_DIR to another."
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ModelsError(
                    f"Another `brain models` is at work in {self.folder}: wait until it has ended."
                ) from None
            yield

    def state(self, model: Model, known: Mapping[str, Pin]) -> State:
        """Whether a model is there, by the sizes of its files alone."""
        pin = known.get(model.id)
        if pin is None:
            main = self.path(model.place(model.files[-1]))
            return "unknown" if main.is_file() else "missing"
        sizes = [_size(self.path(place)) for place in pin.files]
        if all(size is None for size in sizes):
            return "missing"
        if any(size is None for size in sizes):
            return "partly"
        whole = sizes == [file.size for file in pin.files.values()]
        return "there" if whole else "changed"

    def put(self, name: str, pin: Pin, partials: Mapping[str, Path]) -> None:
        """Pin a model, and give its checked files their names: the last one last.

        Cut off in between, the next pull goes on with the rest. Raises `ModelsError`.
        """
        try:
            for partial in partials.values():
                with partial.open("rb") as file:
                    os.fsync(file.fileno())
            pins.write(self.folder, {**self.pins(), name: pin})
            for place in pin.files:
                if place in partials:
                    self._make(self.path(place).parent)
                    pins.settle(partials[place], self.path(place))
        except OSError as error:
            raise ModelsError(f"{name} can't be put into {self.folder}: {error}") from error

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            pins.share(folder, folder.parent)

    def verify(self, names: Sequence[str], progress: Progress) -> list[Finding]:
        """Read every file of the pinned models `names`, and compare. Raises `OSError`."""
        known = self.pins()
        return [
            Finding(name, place, self._compared(place, known[name], progress))
            for name in names
            for place in known[name].files
        ]

    def _compared(self, place: str, pin: Pin, progress: Progress) -> State:
        wanted = pin.files[place]
        size = _size(self.path(place))
        if size is None:
            return "missing"
        if size != wanted.size:
            return "changed"
        tell = progress.file(place, wanted.size, 0)
        return "there" if digests(self.path(place), tell).sha256 == wanted.sha256 else "changed"

    def superfluous(self, keep: Collection[str]) -> list[Path]:
        """Files of pinned models that aren't in `keep`, and what downloads left behind.

        What no pin names isn't the store's, and is left alone.
        """
        known = self.pins()
        kept = {place for name in keep if name in known for place in known[name].files}
        given_up = {place for name, pin in known.items() if name not in keep for place in pin.files}
        found = [self.path(place) for place in sorted(given_up - kept)]
        return [path for path in (*found, *sorted(self.partial("").glob("*"))) if path.is_file()]

    def prune(self, keep: Collection[str]) -> list[Path]:
        """Delete what is `superfluous`, with its pins; returns it. Raises `OSError`."""
        gone = self.superfluous(keep)
        for path in gone:
            path.unlink(missing_ok=True)
            self._forget_empty(path.parent)
        left = {name: pin for name, pin in self.pins().items() if name in keep}
        pins.write(self.folder, left)
        return gone

    def _forget_empty(self, folder: Path) -> None:
        while folder != self.folder and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def disk_free(folder: Path) -> int:
    """Bytes that may still be written in `folder`."""
    return shutil.disk_usage(folder).free


def room_for(size: int, folder: Path, free: Callable[[Path], int] = disk_free) -> None:
    """Raises `ModelsError` if `size` bytes more would fill the disk of `folder`."""
    there = free(folder)
    if size and there < size + _MARGIN:
        raise ModelsError(
            f"{_gb(size)} are to come, {_gb(there)} are free in {folder}, and {_gb(_MARGIN)} are "
            "to stay free: make room (brain models prune shows what can go), or set MODELS_DIR "
            "to a larger disk."
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
