"""Models from a folder, such as a USB stick: for a site without internet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brain.models import pins
from brain.models.catalog import Catalog, Model
from brain.models.digest import digests
from brain.models.errors import ModelsError, Spoiled
from brain.models.pins import Pin, PinnedFile
from brain.models.store import Progress, Store, disk_free, room_for

_BLOCK = 1 << 22


@dataclass
class Brought:
    """What became of the models of a folder. `unproven`: nobody here knew what they must be."""

    there: list[str] = field(default_factory=list)
    came: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bring:
    """One import from `folder`: another store, or just files with the names that the hub has.

    What the models must be is known from this store's pins, else from those in `folder`. Without
    either they are taken as they are, and pinned so.
    """

    store: Store
    folder: Path
    catalog: Catalog
    progress: Progress
    free: Callable[[Path], int] = disk_free

    def run(self, models: Sequence[Model]) -> Brought:
        """Copy those of `models` that are whole in `folder`. Raises `ModelsError`."""
        if not self.folder.is_dir():
            raise ModelsError(f"There is no folder {self.folder}.")
        if self.folder.resolve() == self.store.folder.resolve():
            raise ModelsError(f"{self.folder} is the folder of the models itself.")
        result = Brought()
        with self.store.held():
            here, there = self.store.pins(), pins.read(self.folder)
            for model in models:
                pin = here.get(model.id) or there.get(model.id)
                try:
                    found = self._found(model, pin)
                    if found:
                        self._take(model, pin, found, result)
                except ModelsError as error:
                    result.failed[model.id] = str(error)
                except OSError as error:
                    result.failed[model.id] = f"It can't be read or copied: {error}"
        return result

    def _found(self, model: Model, pin: Pin | None) -> dict[str, Path]:
        """Its files in the folder, by place; none if it isn't there at all."""
        if pin is not None:
            wanted = {place: file.source for place, file in pin.files.items()}
            found = {place: self._at(place, source) for place, source in wanted.items()}
            if not any(found.values()):
                return {}
            whole = {place: path for place, path in found.items() if path is not None}
            if len(whole) < len(found):
                lacking = ", ".join(sorted(found.keys() - whole.keys()))
                raise ModelsError(f"{self.folder} lacks {lacking}.")
            return whole
        literal = {Path(source).name for source in model.files}
        by_place: dict[str, Path] = {}
        missing = []
        for source in model.files:
            place = model.place(source)
            path = self._at(place, source)
            pattern = (self.folder / model.folder).glob(Path(source).name)
            taken = [path] if path else [p for p in sorted(pattern) if p.name not in literal]
            by_place |= {model.place(p.name): p for p in taken}
            if not taken:
                missing.append(source)
        if model.place(model.files[-1]) not in by_place:
            return {}
        if missing:
            raise ModelsError(f"{self.folder} lacks {', '.join(missing)}.")
        return by_place

    def _at(self, place: str, source: str) -> Path | None:
        """A file of the folder: as in a store, as in the repository, or by its name alone."""
        names = [place, source]
        if self._own_name(Path(source).name):
            names.append(Path(source).name)
        for name in names:
            path = self.folder / name
            if path.is_file():
                return path
        return None

    def _own_name(self, name: str) -> bool:
        """Whether a file of this name can be of one model alone (many have a config.json)."""
        models = self.catalog.models.values()
        return Counter(Path(f).name for model in models for f in model.files)[name] == 1

    def _take(
        self, model: Model, pin: Pin | None, found: Mapping[str, Path], result: Brought
    ) -> None:
        lacking = {p: path for p, path in found.items() if not self._is_there(p, pin)}
        if not lacking:
            if pin is not None:
                self.store.put(model.id, pin, {})
            result.there.append(model.id)
            return
        own = self.store.pins().get(model.id)
        foreign = lacking.keys() - (own.files.keys() if own is not None else ())
        if taken := sorted(p for p in foreign if self.store.path(p).exists()):
            raise ModelsError(f"{self.store.path(taken[0])} is there already: move it away first.")
        room_for(sum(p.stat().st_size for p in lacking.values()), self.store.folder, self.free)
        partials, files = {}, {}
        for place, path in lacking.items():
            partials[place], files[place] = self._copied(place, path)
            wanted = pin.files[place] if pin is not None else files[place]
            if (wanted.size, wanted.sha256) != (files[place].size, files[place].sha256):
                partials[place].unlink()
                raise Spoiled(f"{path} isn't what is pinned: it is damaged, or another version.")
        if pin is None:
            result.unproven.append(model.id)
            pin = Pin(model.repository, "", {place: files[place] for place in found})
        self.store.put(model.id, pin, partials)
        result.came.append(model.id)

    def _is_there(self, place: str, pin: Pin | None) -> bool:
        path = self.store.path(place)
        if pin is None or not path.is_file() or path.stat().st_size != pin.files[place].size:
            return False
        return digests(path).sha256 == pin.files[place].sha256

    def _copied(self, place: str, path: Path) -> tuple[Path, PinnedFile]:
        """A copy beside the store's files, and what it is, read back from there."""
        self._check_link(path)
        partial = self.store.partial(f"import.{place.replace('/', '.')}")
        partial.parent.mkdir(exist_ok=True)
        tell = self.progress.file(place, path.stat().st_size, 0)
        with path.open("rb") as source, partial.open("wb") as copy:
            while block := source.read(_BLOCK):
                copy.write(block)
                tell(len(block))
        found = digests(partial)
        return partial, PinnedFile(Path(place).name, found.size, found.sha256)

    def _check_link(self, path: Path) -> None:
        """Root imports, and what comes is for everybody to read: a stick's link to a file of this
        machine mustn't make that public. (A cache of the hub's has links, too, to its own files.)
        Raises `ModelsError`."""
        target = path.resolve()
        inside = target.is_relative_to(self.folder.resolve())
        if not inside and not target.stat().st_mode & 0o004:
            raise ModelsError(f"{path} leads to {target}, which isn't for everybody to read.")
