"""Opens the engines that the settings name for a check: the product's own, with nothing below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from brain.engines.hangs import GivenUpOnce
from brain.engines.ladder import Rung
from brain.engines.lane import Closable
from brain.engines.ports import EngineError

E = TypeVar("E", bound=Closable)


@dataclass(frozen=True)
class Opened(Generic[E]):
    """An engine, or why there is none. `pocket`: it is one of the embedded models."""

    engine: E | None
    pocket: bool = False
    reason: str = ""


async def opened(rungs: Sequence[Rung[E]], nothing: str) -> Opened[E]:
    """The engine of the highest of `rungs`, loaded and warm. `nothing`: the reason for no rung.

    A check that fell to a lower rung would measure another engine than the one asked for.
    """
    if not rungs:
        return Opened(None, reason=nothing)
    rung = rungs[0]
    pocket = rung.embedded and rung.name != "espeak"  # which is embedded, but no model of ours
    try:
        return Opened(await rung.build(GivenUpOnce()), pocket)
    except EngineError as error:
        return Opened(None, pocket, str(error))
