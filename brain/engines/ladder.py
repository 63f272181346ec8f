"""Degrade, never die: several engines of a kind, the best healthy one of which serves.

A failed or missing engine lowers the brain by one rung, for this call or until the engine has been
built anew in the background. A reply that has begun is never begun again on another rung.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, Literal, TypeVar

from brain.engines.hangs import GivenUp, GivenUpOnce, Hangs
from brain.engines.lane import Closable, Lane
from brain.engines.looking import FILES_S, PROBE_AGAIN_S, PROBE_S, fingerprint, probed
from brain.engines.one_line import one_line
from brain.engines.ports import (
    Device,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
)
from brain.engines.remote.endpoint import EndpointState
from brain.engines.remote.pool import pool_behind

__all__ = ["RETRIES_S", "EngineState", "GivenUp", "Kind", "Ladder", "Progress", "Rung"]

_log = logging.getLogger(__name__)

T = TypeVar("T")
E = TypeVar("E", bound=Closable)

Kind = Literal["vad", "stt", "llm", "tts", "eot"]

RETRIES_S = (0.0, 5.0, 15.0, 60.0, 300.0)
"""Waits before an engine that is down is built again; the last one for ever."""

_STRIKES = 3


@dataclass
class Progress:
    """How far the building of an engine is, in words for people; empty if there's nothing to
    tell. Called with the words."""

    text: str = ""

    def __call__(self, text: str) -> None:
        self.text = text


@dataclass(frozen=True)
class Rung(Generic[E]):
    """One engine of a ladder.

    `build` makes it (and warms it), or raises `EngineError`; it is given what to call when the
    engine hangs or dies. `check` makes a tiny real call of it, and raises `EngineError` if it is
    ill.
    `embedded` rungs need nothing but the package, so they are built first and always there.
    `probe`, for an engine outside this process, asks whether it is there, without building it, and
    raises `EngineUnavailable` if it isn't. `files` are those that it is built from: it is built
    again soon after one of them came or changed. `progress` is written by `build`.
    """

    name: str
    build: Callable[[GivenUp], Awaitable[E]]
    check: Callable[[E], Awaitable[None]]
    embedded: bool = False
    probe: Callable[[], Awaitable[None]] | None = None
    files: Callable[[], Sequence[Path]] | None = None
    progress: Progress = field(default_factory=Progress, compare=False)


@dataclass(frozen=True)
class EngineState:
    """How one kind of engine stands.

    `wanted` is the engine that the settings ask for and `active` the one that serves, both as the
    settings name them; `active` is empty while nobody serves. `model` is the active one's.
    `loading`: the wanted one is on its way for the first time. `reason` says in a sentence for each
    better one why another than the wanted one serves; empty if it doesn't. `progress`: how far the
    wanted one's loading is, where there is something to tell. `device`: where the active one
    computes. `endpoints`: of the active one its servers elsewhere, if it has any.
    `lacks`: what the active one goes without (`EngineInfo.lacks`).
    """

    kind: Kind
    wanted: str
    active: str = ""
    model: str = ""
    loading: bool = False
    reason: str = ""
    progress: str = ""
    device: Device = ""
    endpoints: tuple[EndpointState, ...] = ()
    lacks: str = ""


@dataclass(eq=False)
class _Place(Generic[E]):
    """A rung and what stands on it now."""

    rung: Rung[E]
    engine: E | None = None
    tried: bool = False
    reason: str = ""
    strikes: int = 0
    built_from: str = ""
    """The fingerprint of its files as it was last built, or tried to be."""


class Ladder(Generic[E]):
    """The engines of one kind, the wanted one first. For one event loop."""

    def __init__(
        self, kind: Kind, rungs: Sequence[Rung[E]], *, retries_s: Sequence[float] = RETRIES_S
    ) -> None:
        if not rungs:
            raise ValueError("a ladder has at least one rung")
        self.kind: Kind = kind
        self._places = [_Place(rung) for rung in rungs]
        self._retries_s = tuple(retries_s)
        self._attempt = 0
        self._hangs = Hangs()
        self._climbing = asyncio.Lock()
        self._fell = asyncio.Event()
        self._came_back = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def state(self) -> EngineState:
        """How it stands now."""
        wanted = self._places[0]
        serving = next(iter(self._serving()), None)
        info = serving[1].info if serving is not None else None
        pool = pool_behind(serving[1]) if serving is not None else None
        return EngineState(
            kind=self.kind,
            wanted=wanted.rung.name,
            active=info.name if info is not None else "",
            model=info.model if info is not None else "",
            loading=not wanted.tried,
            reason=self._why_not_wanted(),
            progress=wanted.rung.progress.text,
            device=info.device if info is not None else "",
            endpoints=pool.endpoints if pool is not None else (),
            lacks=info.lacks if info is not None else "",
        )

    @property
    def remote(self) -> bool:
        """Whether the wanted engine runs outside this process."""
        return self._places[0].rung.probe is not None

    @property
    def engine(self) -> E:
        """The engine that serves. Raises `EngineUnavailable` if none does."""
        for _, engine in self._serving():
            return engine
        raise EngineUnavailable(self._why_none())

    def hopeless(self) -> str:
        """Why only a new process can help; empty if none is needed, as for one that is idle."""
        serving = self._serving()
        for place, engine in serving:
            lane = getattr(engine, "lane", None)
            if isinstance(lane, Lane) and lane.overdue:
                return f"{self.kind}: a call of {place.rung.name} neither goes on nor ends"
        now = asyncio.get_running_loop().time()
        reason = self._hangs.hopeless(now, serving=bool(serving))
        return f"{self.kind}: {reason}" if reason else ""

    async def start(self) -> None:
        """Build the embedded rungs (or the lowest one, if none is), so that somebody serves."""
        embedded = [place for place in self._places if place.rung.embedded]
        for place in reversed(embedded or self._places[-1:]):
            await self._build(place)

    async def climb(self) -> None:
        """Build the wanted rung, or the best one below it that can be built."""
        async with self._climbing:
            self._attempt += 1
            for place in self._places:
                if self._closed or place.engine is not None:
                    return
                await self._build(place)
                if place.engine is not None:
                    return

    def watch(self) -> None:
        """From now on climb again, after a while, whenever the wanted rung is down; one outside
        this process is looked at now and then, whether or not anybody calls it, and so are the
        files of one that is down."""
        self._spawn(self._keep_climbing)
        for place in self._places:
            if place.rung.files is not None:
                self._spawn(partial(self._keep_looking, place, place.rung.files))
        probe = self._places[0].rung.probe
        if probe is not None:
            self._spawn(partial(self._keep_probing, probe))

    async def stream(
        self, begin: Callable[[E], AsyncGenerator[T, None]], *, sheds: bool = False
    ) -> AsyncGenerator[T, None]:
        """What `begin` gives on the best rung; on the next one if it fails before its first item.

        `sheds`: also if it is too busy, or late. Raises what the best rung raised.
        """
        first: EngineError | None = None
        for place, engine in self._serving():
            begun = False
            try:
                async with aclosing(begin(engine)) as items:
                    async for item in items:
                        begun = True
                        yield item
                place.strikes = 0
                if place is self._places[0]:
                    self._attempt = 0
            except (EngineUnavailable, EngineFailed) as error:
                self._note(place, engine, error)
                if begun:
                    raise
                first = first or error
            except EngineBusy as error:
                if begun or not sheds:
                    raise
                first = first or error
            except EngineTimeout as error:
                self._note(place, engine, error)
                if begun or not sheds:
                    raise
                first = first or error
            else:
                return
        raise first or EngineUnavailable(self._why_none())

    async def close(self) -> None:
        """Close all engines and end what goes on in the background. (One that is out of service
        may still be at it: its processes and its memory go with that.)"""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for place in self._places:
            engine, place.engine = place.engine, None
            if engine is not None:
                await engine.close()
        await asyncio.gather(*self._leaving)

    # -- how it goes up and down ----------------------------------------------------------------

    def _serving(self) -> list[tuple[_Place[E], E]]:
        return [(place, place.engine) for place in self._places if place.engine is not None]

    def _why_not_wanted(self) -> str:
        """Of all that are above the one that serves: to put the wanted one right may not be in
        anybody's power."""
        reasons = []
        for place in self._places:
            if place.engine is not None:
                break
            if place.reason and place.reason not in reasons:
                reasons.append(place.reason)
        return " ".join(reasons)

    def _why_none(self) -> str:
        reasons = [place.reason for place in self._places if place.reason]
        return reasons[0] if reasons else "The engine is still loading: try again in a moment."

    async def _build(self, place: _Place[E]) -> None:
        if place.engine is not None or self._closed:
            return
        given_up, told = GivenUpOnce(), place.reason
        try:
            if place.rung.files is not None:
                place.built_from = await asyncio.to_thread(fingerprint, place.rung.files())
            engine = await place.rung.build(given_up)
        except EngineError as error:
            place.reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the brain goes on
            said = one_line(str(error))
            place.reason = f"{place.rung.name} failed to load: {type(error).__name__}: {said}"
            if place.reason != told:
                _log.exception("Building the %s engine %s failed.", self.kind, place.rung.name)
        else:
            place.engine, place.reason, place.strikes = engine, "", 0
            given_up.then(lambda reason, hung: self._lower(place, engine, reason, hung=hung))
            _log.info("%s: %s (%s) is ready.", self.kind, engine.info.name, engine.info.model)
        finally:
            place.tried = True
            place.rung.progress("")
            self._hangs.built(failed=place.engine is None)
        if place.reason and place.reason != told:  # it is tried again and again
            _log.warning("%s: %s", self.kind, place.reason)

    def _note(self, place: _Place[E], engine: E, error: EngineError) -> None:
        """A call failed. Gone is gone; one that fails time and again is looked at."""
        if place.engine is not engine:
            return
        if isinstance(error, EngineUnavailable):
            self._lower(place, engine, str(error))
            return
        place.strikes += 1
        _log.warning("%s: %s failed (%d): %s", self.kind, place.rung.name, place.strikes, error)
        if place.strikes >= _STRIKES:
            place.strikes = 0
            self._spawn(partial(self._examine, place, engine))

    async def _examine(self, place: _Place[E], engine: E) -> None:
        """It may have been the questions rather than the engine."""
        try:
            await place.rung.check(engine)
        except (EngineFailed, EngineTimeout, EngineUnavailable) as error:
            self._lower(place, engine, str(error))
        except EngineBusy:
            return  # it is at work: the next failures will tell

    def _lower(self, place: _Place[E], engine: E, reason: str, *, hung: bool = False) -> None:
        if place.engine is not engine or self._closed:
            return
        if hung and place.rung.probe is None:  # else nothing of it is in this process
            self._hangs.hung(asyncio.get_running_loop().time())
        place.engine, place.reason = None, reason
        _log.error("%s: %s is out of service: %s", self.kind, place.rung.name, reason)
        _kept(engine.close, self._leaving)
        self._fell.set()

    async def _keep_climbing(self) -> None:
        while True:
            if self._places[0].engine is None:
                last = len(self._retries_s) - 1
                with suppress(asyncio.TimeoutError):
                    wait = self._retries_s[min(self._attempt, last)]
                    await asyncio.wait_for(self._came_back.wait(), wait)
                self._came_back.clear()
                await self.climb()
            else:
                await self._fell.wait()
            self._fell.clear()

    async def _keep_probing(self, probe: Callable[[], Awaitable[None]]) -> None:
        place, gone = self._places[0], False
        # (Before Python 3.12 `wait_for` loses a cancel that comes as the probe ends.)
        while not self._closed:
            await asyncio.sleep(PROBE_S)
            engine = place.engine
            reason = await probed(probe, again=gone)
            if reason and engine is not None:
                await asyncio.sleep(PROBE_AGAIN_S)
                reason = await probed(probe, again=True)
                if reason:
                    self._lower(place, engine, reason)
            elif gone and not reason and engine is None:
                self._attempt = 0
                self._came_back.set()
            gone = bool(reason)

    async def _keep_looking(self, place: _Place[E], files: Callable[[], Sequence[Path]]) -> None:
        """Have it built again when its files have changed, and change no more: to copy a model
        takes a while."""
        before = place.built_from
        while not self._closed:
            await asyncio.sleep(FILES_S)
            if place.engine is not None:
                continue
            now = await asyncio.to_thread(fingerprint, files())
            if now == before != place.built_from:
                self._attempt = 0
                self._came_back.set()
            before = now

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._closed:
            return
        _kept(work, self._tasks)


def _kept(work: Callable[[], Awaitable[None]], tasks: set[asyncio.Task[None]]) -> None:
    """Have it done in the background; it is among `tasks` until it has ended."""
    task = asyncio.ensure_future(_whole(work))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _whole(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001 - in the background nobody else would hear of it
        _log.exception("Looking after an engine failed.")
