"""Loads that ended the whole process: remembered on disk, so that the next process leaves them be.

A native library that meets a broken model or too little memory may end the process (an assertion,
the kernel for memory, the watchdog for a driver that hangs). A brain that loaded the same model
again at each start would never answer anybody. So there is a note on disk while a model is being
loaded; one that is found by the next process tells how the last one ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from brain import __version__
from brain.engines.ladder import GivenUp, Kind, Rung
from brain.engines.lane import Closable
from brain.engines.looking import fingerprint
from brain.engines.ports import EngineUnavailable

_log = logging.getLogger(__name__)

E = TypeVar("E", bound=Closable)

WAITS_S = (600.0, 3_600.0, 86_400.0)
"""Before a load that ended the process is tried again by the next one; the last one for ever."""

# One end in the same boot of the machine is enough for a verdict. When the machine went down, too,
# it was likelier somebody at the plug: that takes two. The embedded models are known to load: three
# ends, by somebody who restarts the brain again and again, say.
_SAME_BOOT, _OTHER_BOOT = 2, 1
_ENOUGH, _ENOUGH_EMBEDDED = 2, 6


@dataclass(frozen=True)
class _Note:
    """`what`: a digest of all that decides how the load goes. `ends`: how often it ended the
    process, as weighed above. `under_way`: it is being loaded by whoever has the file locked."""

    what: str = ""
    ends: int = 0
    under_way: bool = False
    boot: str = ""


class Load:
    """A load under way. `end` it, however it went: whoever can, is alive."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._handle = path, handle
        self._ended = threading.Lock()

    def end(self) -> None:
        """The note is taken away. Twice is the same as once."""
        if not self._ended.acquire(blocking=False):
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError:  # a folder that was closed meanwhile: then let the note say so
            with contextlib.suppress(OSError):
                _write(self._handle, _Note())
        os.close(self._handle)


class Loads:
    """The notes in `folder`. `clock`: s, of this process; `boot`: which one of the machine's."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.monotonic, boot: str | None = None
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._boot = _boot_id() if boot is None else boot
        self._known_since: dict[tuple[str, str], float] = {}

    def begin(self, key: str, what: str, name: str, *, embedded: bool = False) -> Load | None:
        """A load begins; None where no note of it can be kept. Blocks.

        `key` is the engine's, `what` says all that decides how it goes, `name` is for people.
        Raises `EngineUnavailable` if it ended a process before and isn't to be tried yet.
        """
        path = self._folder / f"{key}.json"
        handle = self._locked(path)
        if handle is None:
            return None
        try:
            self._judge(handle, key, what, name, embedded)
        except OSError as error:  # a full disk
            _log.debug("no note can be kept in %s: %s", path, error)
        except EngineUnavailable:
            os.close(handle)
            raise
        return Load(path, handle)

    def _locked(self, path: Path) -> int | None:
        try:
            self._make_folder()
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            _log.debug("no note can be kept in %s: %s", path, error)
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another brain is loading, and alive
            os.close(handle)
            return None
        return handle

    def _make_folder(self) -> None:
        if self._folder.is_dir():
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            if os.geteuid() == 0:  # or the service could keep no notes where root's brain has been
                around = self._folder.parent.stat()
                os.chown(self._folder, around.st_uid, around.st_gid)

    def _judge(self, handle: int, key: str, what: str, name: str, embedded: bool) -> None:
        note = _read(handle)
        if note.what != what:
            note = _Note(what)
        if note.under_way:
            weight = _SAME_BOOT if note.boot == self._boot else _OTHER_BOOT
            note = replace(note, ends=note.ends + weight, under_way=False)
            _write(handle, note)
            _log.info("the loading of %s did not end, but the process did", name)
        enough = _ENOUGH_EMBEDDED if embedded else _ENOUGH
        if note.ends >= enough:
            wait = WAITS_S[min((note.ends - enough) // _SAME_BOOT, len(WAITS_S) - 1)]
            since = self._known_since.setdefault((key, what), self._clock())
            if self._clock() - since < wait:
                raise EngineUnavailable(_verdict(name, wait))
        _write(handle, replace(note, under_way=True, boot=self._boot), durable=not embedded)


def guarded(rung: Rung[E], kind: Kind, loads: Loads, settings: str) -> Rung[E]:
    """The same rung, whose loads leave a note. `settings`: those that decide how it loads."""
    files = rung.files
    if files is None:
        return rung
    key = f"{kind}-{rung.name}-embedded" if rung.embedded else f"{kind}-{rung.name}"

    async def build(given_up: GivenUp) -> E:
        made_of = files()
        seen = await asyncio.to_thread(fingerprint, made_of)
        what = hashlib.sha256(f"{__version__} {settings} {seen}".encode()).hexdigest()
        name = str(made_of[0])
        begun: list[Load] = []
        stopped = threading.Event()

        def begin() -> None:
            load = loads.begin(key, what, name, embedded=rung.embedded)
            if load is not None:
                begun.append(load)
                if stopped.is_set():
                    load.end()

        try:
            await asyncio.to_thread(begin)
            return await rung.build(given_up)
        finally:
            # (A stop may come while the thread waits for the disk: that isn't the load's fault.)
            stopped.set()
            for load in begun:
                load.end()

    return replace(rung, build=build)


def _verdict(name: str, wait_s: float) -> str:
    again = f"{wait_s / 3600:g} h" if wait_s >= 3600 else f"{wait_s / 60:g} min"
    return (
        f"Loading {name} ended the whole brain the last time: the file may be damaged (see brain "
        "models verify), or too large for the memory (take a smaller one, or less LLM_CONTEXT). It "
        f"is tried again in {again}, and as soon as the file changes."
    )


def _read(handle: int) -> _Note:
    """Nothing, where nothing can be read: the note of a power cut, say."""
    try:
        data = json.loads(os.pread(handle, 4_096, 0))
        note = _Note(str(data["what"]), int(data["ends"]), bool(data["under_way"]), data["boot"])
    except (OSError, ValueError, KeyError, TypeError):
        return _Note()
    return note


def _write(handle: int, note: _Note, *, durable: bool = False) -> None:
    data = json.dumps(asdict(note)).encode()
    os.pwrite(handle, data, 0)
    os.ftruncate(handle, len(data))
    if durable:
        os.fsync(handle)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
