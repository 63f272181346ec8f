"""What the service manager is told of the start, and from then on of how the engines stand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from brain.engines.ladder import EngineState
from brain.ops.notify import Notifier

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks at the engines: who types `systemctl status` sees what is, not what was."""
EXTENDED_S = 15.0
"""For so long the start may go on from each look; a manager that hears nothing more then ends it.
"""
NO_PROGRESS_S = 600.0
"""After that the start is over with what serves by then: a robot needn't wait for what hangs."""


class Loading(Protocol):
    """Engines on their way: what `brain.engines.loader.EngineSet` is."""

    async def wait_settled(self, seconds: float | None = None) -> bool: ...

    def states(self) -> tuple[EngineState, ...]: ...


def _nothing() -> Sequence[str]:
    return ()


async def tell(
    engines: Loading,
    notifier: Notifier,
    profile: str,
    besides: Callable[[], Sequence[str]] = _nothing,
) -> None:
    """Until cancelled: what is loading, READY, then what serves and what is degraded.

    `besides` says what else isn't as it was asked for, each as "what (why)".

    READY when the engines of `profile` are warm or given up on; or when nothing about their loading
    has changed for `NO_PROGRESS_S`, since until then the start's time-out is extended.
    """
    clock = asyncio.get_running_loop().time
    states, moved = engines.states(), clock()
    line = ""
    while True:
        notifier.extend_timeout(EXTENDED_S)
        line = _told(notifier, loading_line(states), line)
        if await engines.wait_settled(LOOK_S):
            break
        if engines.states() != states:
            states, moved = engines.states(), clock()
        if clock() - moved > NO_PROGRESS_S:
            break
    states = engines.states()
    line = serving_line(states, besides())
    notifier.ready(line)
    degraded: list[str] = [state.kind for state in states if state.loading or state.reason]
    degraded += [what.split(" ")[0] for what in besides()]
    status = f"degraded: {', '.join(degraded)}" if degraded else "ready"
    log.info("%s: profile %s; %s", status, profile, _serving(states))
    while True:
        await asyncio.sleep(LOOK_S)
        line = _told(notifier, serving_line(engines.states(), besides()), line)


def _told(notifier: Notifier, now: str, before: str) -> str:
    """`now`, of which the manager knows; it is told only of what is new to it."""
    if now != before:
        notifier.status(now)
    return now


def loading_line(states: tuple[EngineState, ...]) -> str:
    """What is on its way, and how far that is, for `systemctl status`."""
    loading = [
        f"{state.kind} ({state.progress})" if state.progress else state.kind
        for state in states
        if state.loading
    ]
    return f"loading: {', '.join(loading)}; until then: {_serving(states)}"


def serving_line(states: tuple[EngineState, ...], besides: Sequence[str] = ()) -> str:
    """What serves, and first what of it (and `besides` it) isn't as it was asked for, and why."""
    degraded = [
        f"{state.kind} ({'still loading' if state.loading else state.reason})"
        for state in states
        if state.loading or state.reason
    ]
    degraded += besides
    if degraded:
        return f"degraded: {', '.join(degraded)}; meanwhile: {_serving(states)}"
    return f"ready; {_serving(states)}"


def _serving(states: tuple[EngineState, ...]) -> str:
    return ", ".join(f"{state.kind} {state.active or 'none'} ({state.model})" for state in states)
