"""The GPU's memory: by a stand-in that answers as NVML does, and on this machine as it is."""

from __future__ import annotations

import os
from typing import Any

import pytest

from brain.engines.gpu_memory import Filled, GpuMemory, Holder, this_gpu
from tests.nvml_stand_in import GIB, NvmlStandIn


def test_it_is_asked_anew_each_time() -> None:
    nvml = NvmlStandIn(free=10 * GIB)
    memory = nvml.memory()
    assert (memory.free_gb(), memory.look()) == (10.0, Filled(24 * GIB, 10 * GIB))
    nvml.free = 3 * GIB // 2
    assert memory.free_gb() == 1.5


@pytest.mark.parametrize("fails", ["init", "count", "handle", "memory"])
def test_what_the_driver_will_not_tell_is_not_known(fails: str) -> None:
    memory = NvmlStandIn(free=GIB, fails=fails).memory()
    assert (memory.free_gb(), memory.look()) == (None, None)


def test_without_a_driver_it_is_not_known() -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    for memory in (GpuMemory(missing), GpuMemory(lambda _: object())):
        assert (memory.look(), memory.free_gb(), memory.holders()) == (None, None, ())


@pytest.mark.parametrize(
    ("visible", "index"),
    [({"CUDA_VISIBLE_DEVICES": "1"}, 1), ({"CUDA_VISIBLE_DEVICES": "0,1"}, 0), ({}, None),
     ({"CUDA_VISIBLE_DEVICES": "GPU-5f2a"}, None), ({"CUDA_VISIBLE_DEVICES": "5"}, None)],
)  # fmt: skip
def test_of_two_it_is_the_one_that_is_named_by_its_number(
    visible: dict[str, str], index: int | None
) -> None:
    nvml = NvmlStandIn(free=GIB, gpus=2)
    found = nvml.memory(**visible).look()
    assert (found is not None) == (index is not None)
    if index is not None:
        assert nvml.opened == [index]


def test_who_holds_it_is_told_the_largest_first() -> None:
    me = os.getpid()
    nvml = NvmlStandIn(processes=((1 << 30, 2 * GIB), (me, 5 * GIB), (1, (1 << 64) - 1)))
    largest, second, unknown = nvml.memory().holders()
    assert (largest.pid, largest.used) == (me, 5 * GIB)
    assert largest.name
    assert second == Holder(1 << 30, "", 2 * GIB), "no process has such a number"
    assert (unknown.pid, unknown.used) == (1, None)


def test_a_driver_that_does_not_tell_who_holds_it_still_tells_how_much_is_free() -> None:
    memory = NvmlStandIn(free=GIB, fails="processes").memory()
    assert (memory.free_gb(), memory.holders()) == (1.0, ())


def test_on_this_machine_it_is_a_number_or_not_known() -> None:
    free = this_gpu().free_gb()
    assert free is None or 0 <= free < 10_000
