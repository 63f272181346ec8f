"""Whether the GPU has room for an engine, asked before each load of it.

CUDA refuses late and in words of its own, and what was loaded by then has cost half a minute. So a
rung whose engine goes to the GPU is built only where what it needs is free; else it is not loaded,
the next rung serves, and the ladder tries again by and by.

A GPU without memory of its own (a Jetson's) is looked at in `brain.engines.room`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from brain.engines.gpu_memory import Filled, GpuMemory, Holder, this_gpu
from brain.engines.ladder import GivenUp, Rung
from brain.engines.lane import Closable
from brain.engines.ports import EngineUnavailable
from brain.engines.room import gpu_shares_memory

E = TypeVar("E", bound=Closable)

_GIB = 1 << 30
_SHOWN = 3


@dataclass(frozen=True)
class GpuNeed:
    """What an engine must find free on the GPU: `size` in bytes. `what` it is for, as a sentence
    begins; `advice`: which settings take less, as one goes on after a colon."""

    size: int
    what: str
    advice: str


NeedOf = Callable[[Filled], "GpuNeed | None"]
"""What is needed of a GPU with so much memory; None: nothing that is known. May read files."""


def with_gpu_room(
    rung: Rung[E],
    need: NeedOf,
    gpu: Callable[[], GpuMemory] = this_gpu,
    shared: Callable[[], bool] = gpu_shares_memory,
) -> Rung[E]:
    """The same rung, built only where the GPU has room for it.

    Its `build` raises `EngineUnavailable` with what is needed, what is free, and who holds the
    rest. What isn't known stops nothing.
    """

    async def build(given_up: GivenUp) -> E:
        if refusal := await asyncio.to_thread(_refusal, need, gpu, shared):
            raise EngineUnavailable(refusal)
        return await rung.build(given_up)

    return replace(rung, build=build)


def _refusal(need: NeedOf, gpu: Callable[[], GpuMemory], shared: Callable[[], bool]) -> str:
    if shared():
        return ""
    memory = gpu()
    found = memory.look()
    wanted = need(found) if found is not None else None
    if found is None or wanted is None or wanted.size <= found.free:
        return ""
    free, total = found.free / _GIB, found.total / _GIB
    held = _held(memory.holders())
    return (
        f"{wanted.what} needs {wanted.size / _GIB:.1f} GB free on the GPU, and {free:.1f} of its "
        f"{total:.1f} GB are{held}: {wanted.advice}."
    )


def _held(holders: tuple[Holder, ...]) -> str:
    if not holders:
        return ""
    told = ", ".join(_told(one) for one in holders[:_SHOWN])
    more = len(holders) - _SHOWN
    return f" (held by {told}{f' and {more} more' if more > 0 else ''})"


def _told(one: Holder) -> str:
    name = "this brain" if one.pid == os.getpid() else one.name or "a process"
    pid = "" if one.pid == os.getpid() else f" {one.pid}"
    size = "" if one.used is None else f" {one.used / _GIB:.1f} GB"
    return f"{name}{pid}{size}"
