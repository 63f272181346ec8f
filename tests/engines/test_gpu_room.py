"""An engine for which the GPU has no room isn't loaded; what is below serves, until there is room.

The GPU is a stand-in's, the ladder and its rungs' engines are scripted.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from brain.engines.gpu_memory import Filled
from brain.engines.gpu_room import GpuNeed, NeedOf, with_gpu_room
from brain.engines.ladder import GivenUp, Ladder, Rung
from brain.engines.ports import EngineUnavailable, LanguageModel
from tests.nvml_stand_in import GIB, NvmlStandIn
from tests.scripted_engines import ScriptedMind


async def fine(_: LanguageModel) -> None:
    pass


def rung(name: str, built: list[str]) -> Rung[LanguageModel]:
    async def build(_: GivenUp) -> LanguageModel:
        built.append(name)
        return ScriptedMind(["Hi."])

    return Rung(name, build, fine)


def eight(_: Filled) -> GpuNeed:
    return GpuNeed(8 * GIB, "The big one", "lower BIG")


def refusal(nvml: NvmlStandIn, need: NeedOf = eight, *, shared: bool = False) -> str:
    built: list[str] = []
    guarded = with_gpu_room(rung("big", built), need, nvml.memory, lambda: shared)
    try:
        asyncio.run(guarded.build(lambda _: None))
    except EngineUnavailable as error:
        assert not built
        return str(error)
    assert built == ["big"]
    return ""


def test_too_little_says_both_numbers_who_holds_the_rest_and_what_to_lower() -> None:
    nvml = NvmlStandIn(free=5 * GIB, processes=((1 << 30, 6 * GIB), (os.getpid(), 12 * GIB)))
    assert refusal(nvml) == (
        "The big one needs 8.0 GB free on the GPU, and 5.0 of its 24.0 GB are (held by this brain "
        f"12.0 GB, a process {1 << 30} 6.0 GB): lower BIG."
    )
    nvml.processes = ()
    assert "of its 24.0 GB are: lower BIG." in refusal(nvml)
    nvml.processes = tuple((pid, GIB) for pid in range(1 << 30, (1 << 30) + 5))
    assert "and 2 more)" in refusal(nvml)


def test_just_enough_is_enough() -> None:
    assert refusal(NvmlStandIn(free=8 * GIB)) == ""
    assert refusal(NvmlStandIn(free=8 * GIB - 1)) != ""


@pytest.mark.parametrize("fails", ["init", "memory"])
def test_what_is_not_known_stops_nothing(fails: str) -> None:
    assert refusal(NvmlStandIn(free=0, fails=fails)) == ""
    assert refusal(NvmlStandIn(free=0), lambda _: None) == ""


def test_a_gpu_without_memory_of_its_own_is_looked_at_elsewhere() -> None:
    nvml = NvmlStandIn(free=0)
    assert refusal(nvml, shared=True) == ""
    assert nvml.asked == 0


def test_the_next_rung_serves_and_the_first_one_comes_when_there_is_room() -> None:
    async def main() -> None:
        nvml, built = NvmlStandIn(free=GIB), list[str]()
        big = with_gpu_room(rung("big", built), eight, nvml.memory, lambda: False)
        ladder = Ladder("llm", [big, rung("small", built)], retries_s=(0.0, 0.01))
        try:
            await ladder.start()
            await ladder.climb()
            assert "8.0 GB free on the GPU, and 1.0" in ladder.state.reason
            assert built == ["small"]
            ladder.watch()
            nvml.free = 20 * GIB
            while ladder.state.reason:  # noqa: ASYNC110 - a ladder tells nobody that it has climbed
                await asyncio.sleep(0)
            assert built == ["small", "big"]
        finally:
            await ladder.close()

    asyncio.run(main())
