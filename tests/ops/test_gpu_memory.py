"""Free GPU memory: with a library that answers as NVML does, and on this machine as it is."""

from __future__ import annotations

from typing import Any

import pytest

from brain.ops.gpu_memory import GpuMemory

GIB = 1 << 30


class Nvml:
    """NVML's three functions; each gives 0, or `fails` for the one of that name."""

    def __init__(self, free: int = 0, fails: str = "") -> None:
        self.free = free
        self.fails = fails

    def nvmlInit_v2(self) -> int:  # noqa: N802 - NVML\'s
        return self._status("init")

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, device: Any) -> int:  # noqa: N802 - NVML\'s
        assert index == 0
        device._obj.value = 7
        return self._status("handle")

    def nvmlDeviceGetMemoryInfo(self, device: Any, memory: Any) -> int:  # noqa: N802 - NVML\'s
        assert device.value == 7
        memory._obj.total, memory._obj.free = 24 * GIB, self.free
        return self._status("memory")

    def _status(self, name: str) -> int:
        return 3 if name == self.fails else 0


def test_it_is_asked_anew_each_time() -> None:
    nvml = Nvml(free=10 * GIB)
    memory = GpuMemory(lambda _: nvml)
    assert memory.free_gb() == 10.0
    nvml.free = 3 * GIB // 2
    assert memory.free_gb() == 1.5


@pytest.mark.parametrize("fails", ["init", "handle", "memory"])
def test_what_the_driver_will_not_tell_is_not_known(fails: str) -> None:
    assert GpuMemory(lambda _: Nvml(free=GIB, fails=fails)).free_gb() is None


def test_without_a_driver_it_is_not_known() -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    assert GpuMemory(missing).free_gb() is None
    assert GpuMemory(lambda _: object()).free_gb() is None


def test_on_this_machine_it_is_a_number_or_not_known() -> None:
    free = GpuMemory().free_gb()
    assert free is None or 0 <= free < 10_000
