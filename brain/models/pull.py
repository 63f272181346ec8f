"""Fetching: what is missing of some models, several files at once, and nothing half.

A file comes into the store's `.partial` folder, is compared with what the hub said of it, and only
then gets its name. Whatever breaks off in between goes on where it was at the next pull.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from brain.models.catalog import Model
from brain.models.digest import Digests, digests
from brain.models.errors import ModelsError, Refused, Spoiled, Stopped, Unreachable
from brain.models.hub import Listing, RemoteFile
from brain.models.pins import Pin, PinnedFile
from brain.models.store import Progress, Store, disk_free, room_for

_AT_ONCE = 4
_WAITS_S = (1.0, 4.0, 15.0)
"""After a break that brought nothing; one that brought something is followed at once."""


class Source(Protocol):
    """Where models come from: `brain.models.hub.Hub`, which says what its methods do."""

    def listing(self, model: Model) -> Listing: ...

    def fetch(
        self, repository: str, revision: str, file: RemoteFile, into: Path,
        tell: Callable[[int], None], stop: threading.Event,
    ) -> None: ...  # fmt: skip


@dataclass
class Outcome:
    """What became of each model: those that were there, those that came, and why others didn't."""

    there: list[str] = field(default_factory=list)
    came: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Job:
    """A model on its way: its files by place, which of them lack, SHA-256 of those that don't."""

    model: Model
    repository: str
    revision: str
    files: dict[str, RemoteFile]
    lacking: list[str] = field(default_factory=list)
    sums: dict[str, str] = field(default_factory=dict)

    def key(self, place: str) -> str:
        """Of the partial file: two models may have a file in common, and come side by side."""
        return f"{self.model.id}.{self.files[place].key}"

    def pin(self) -> Pin:
        pinned = {
            place: PinnedFile(file.source, file.size, self.sums[place])
            for place, file in self.files.items()
        }
        return Pin(self.repository, self.revision, pinned)


@dataclass(frozen=True)
class Pull:
    """One pull. `update` passes over the pins and takes what the hub has now.

    `stop` ends it soon; `free` tells the free bytes of a folder's disk.
    """

    store: Store
    source: Source
    progress: Progress
    update: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    free: Callable[[Path], int] = disk_free

    def run(self, models: Sequence[Model]) -> Outcome:
        """Make `models` be there. One that can't be had doesn't keep the others from coming.

        Raises `ModelsError` where nothing can be done: a disk too small, a store that is in use or
        can't be written.
        """
        outcome = Outcome()
        with self.store.held():
            known = self.store.pins()
            jobs = []
            for model in models:
                try:
                    job = self._job(model, known.get(model.id))
                except ModelsError as error:
                    outcome.failed[model.id] = str(error)
                    continue
                if job.lacking:
                    jobs.append(job)
                    continue
                if model.id not in known or self.update:
                    self.store.put(model.id, job.pin(), {})
                outcome.there.append(model.id)
            room_for(sum(self._to_come(job) for job in jobs), self.store.folder, self.free)
            self._fetch(jobs, outcome)
        return outcome

    def _job(self, model: Model, pin: Pin | None) -> _Job:
        """What is to be done for a model. Reads the files that are there: a pull mends them."""
        if pin is not None and not self.update:
            files = {p: RemoteFile(f.source, f.size, f.sha256) for p, f in pin.files.items()}
            job = _Job(model, pin.repository, pin.revision, files)
            self._look(job, ours=set(files))
            if pin.revision or not job.lacking:
                return job
            # Brought by hand, so that the hub was never asked what it is.
        listing = self.source.listing(model)
        job = _Job(model, model.repository, listing.revision, chosen(model, listing))
        self._look(job, ours=set(pin.files) if pin is not None else set())
        return job

    def _look(self, job: _Job, ours: set[str]) -> None:
        for place, file in job.files.items():
            path = self.store.path(place)
            if not path.is_file():
                job.lacking.append(place)
                continue
            found = digests(path, self.progress.file(f"checking {place}", path.stat().st_size, 0))
            if _right(file, found):
                job.sums[place] = found.sha256
            elif place in ours:
                job.lacking.append(place)
            else:
                raise ModelsError(
                    f"{path} is there and isn't what {job.repository} has: move it away first."
                )

    def _to_come(self, job: _Job) -> int:
        """Bytes."""
        size = 0
        for place in job.lacking:
            partial = self.store.partial(job.key(place))
            size += job.files[place].size - (partial.stat().st_size if partial.is_file() else 0)
        return max(0, size)

    def _fetch(self, jobs: Sequence[_Job], outcome: Outcome) -> None:
        with ThreadPoolExecutor(_AT_ONCE, "pull") as pool:
            coming = [
                (job, {place: pool.submit(self._bring, job, place) for place in job.lacking})
                for job in jobs
            ]
            try:
                for job, files in coming:
                    self._finish(job, files, outcome)
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _finish(self, job: _Job, files: dict[str, Future[str]], outcome: Outcome) -> None:
        try:
            for place, coming in files.items():
                job.sums[place] = coming.result()
            partials = {place: self.store.partial(job.key(place)) for place in files}
            self.store.put(job.model.id, job.pin(), partials)
        except ModelsError as error:
            for coming in files.values():
                coming.cancel()
            outcome.failed[job.model.id] = str(error)
        else:
            outcome.came.append(job.model.id)

    def _bring(self, job: _Job, place: str) -> str:
        """On a thread: have the whole file in its partial one, and return its SHA-256."""
        file = job.files[place]
        partial = self.store.partial(job.key(place))
        partial.parent.mkdir(exist_ok=True)
        if partial.is_file() and partial.stat().st_size > file.size:
            partial.unlink()
        tell = self.progress.file(place, file.size, _size(partial))
        for _ in range(2):  # what is spoiled may be so by chance, once
            try:
                self._complete(job, file, partial, tell)
                found = digests(partial)
                if _right(file, found):
                    return found.sha256
            except Spoiled:
                pass
            tell(-_size(partial))
            partial.unlink(missing_ok=True)
        raise Spoiled(
            f"{place} came twice with another content than {job.repository} should have at "
            f"{job.revision[:12]}. Nothing of it is kept; try again later, or from another network."
        )

    def _complete(
        self, job: _Job, file: RemoteFile, partial: Path, tell: Callable[[int], None]
    ) -> None:
        fruitless = 0
        while True:
            had = _size(partial)
            if had == file.size and partial.is_file():
                return
            try:
                self.source.fetch(job.repository, job.revision, file, partial, tell, self.stop)
            except Unreachable:
                fruitless = 0 if _size(partial) > had else fruitless + 1
                if fruitless > len(_WAITS_S):
                    raise
                if self.stop.wait(_WAITS_S[fruitless - 1] if fruitless else 0.0):
                    raise Stopped("Stopped. What came so far is kept.") from None


def chosen(model: Model, listing: Listing) -> dict[str, RemoteFile]:
    """The files of a repository that a model is, by place, in the catalogue's order.

    A name that stands in the catalogue goes before a pattern that would take it, too. A pattern
    without a folder takes files of the top alone. Raises `Refused` if something isn't there.
    """
    left = {file.source: file for file in listing.files}
    literal = set(model.files)
    found: dict[str, RemoteFile] = {}
    for pattern in model.files:
        taken = [
            source
            for source in left
            if source == pattern
            or (
                source not in literal
                and source.count("/") == pattern.count("/")
                and fnmatchcase(source, pattern)
            )
        ]
        if not taken:
            raise Refused(
                f"{model.repository} has no {pattern} (any more): the catalogue is older than it."
            )
        for source in sorted(taken):
            found[model.place(source)] = left.pop(source)
    return found


def _right(file: RemoteFile, found: Digests) -> bool:
    if found.size != file.size:
        return False
    return found.sha256 == file.sha256 if file.sha256 else found.blob == file.blob


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
