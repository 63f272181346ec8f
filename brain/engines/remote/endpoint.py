"""One of several servers: what is known of it, and the engine that asks it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

from brain.engines.lane import Closable
from brain.engines.remote.breaker import Breaker
from brain.engines.remote.choice import Candidate, smoothed

E = TypeVar("E", bound=Closable)

BUSY_S = 1.0
"""For so long one that said it is busy is asked last."""
_LATENCY_KEPT_S = 30.0
"""A latency older than this says nothing any more."""


@dataclass(frozen=True)
class Server(Generic[E]):
    """Where to ask. `place` is its address, fit for messages. `build` makes the engine that asks it
    (and warms it), `probe` asks whether it is there; both raise `EngineError`."""

    place: str
    build: Callable[[], Awaitable[E]]
    probe: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class EndpointState:
    """How a server stands. `reason` says why it isn't `up`; empty if it is. `inflight`: calls at it
    from here now."""

    place: str
    up: bool
    reason: str = ""
    inflight: int = 0


@dataclass
class EndpointCounters:
    """Since the start, of calls from here: `refused` are those that it was too busy for, `late`
    those that got no first item in time."""

    started: int = 0
    completed: int = 0
    failed: int = 0
    refused: int = 0
    late: int = 0
    opened: int = 0


@dataclass(eq=False)
class Served(Generic[E]):
    """An engine, and how many calls are at it. `retired`: another has taken its place."""

    engine: E
    calls: int = 0
    retired: bool = False


@dataclass(eq=False)
class Endpoint(Generic[E]):
    """A server as it is known here. For one event loop."""

    server: Server[E]
    breaker: Breaker
    served: Served[E] | None = None
    inflight: int = 0
    busy_until: float = float("-inf")
    counters: EndpointCounters = field(default_factory=EndpointCounters)
    _latency_s: float | None = None
    _latency_of: float = float("-inf")

    @property
    def up(self) -> bool:
        return self.breaker.closed and self.served is not None

    @property
    def state(self) -> EndpointState:
        return EndpointState(self.server.place, self.up, self.breaker.reason, self.inflight)

    def candidate(self, now: float) -> Candidate:
        """What the choice needs to know of it."""
        fresh = now - self._latency_of <= _LATENCY_KEPT_S
        return Candidate(self.inflight, self._latency_s if fresh else None, now < self.busy_until)

    def began_to_answer(self, now: float, latency_s: float) -> None:
        """The first item came after `latency_s`."""
        fresh = now - self._latency_of <= _LATENCY_KEPT_S
        self._latency_s = smoothed(self._latency_s if fresh else None, latency_s)
        self._latency_of = now

    def account(self) -> dict[str, Any]:
        """Its counters, for people and metrics."""
        return {
            "up": self.up,
            "inflight": self.inflight,
            "latency_s": self._latency_s,
            **asdict(self.counters),
        }
