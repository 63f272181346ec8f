"""A stand-in of NVML, the library of NVIDIA's driver: a GPU of fixed size, without any driver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from brain.engines.gpu_memory import GpuMemory

GIB = 1 << 30


@dataclass
class NvmlStandIn:
    """`total` and `free` bytes of each of `gpus` GPUs, and who holds memory: (pid, bytes). `fails`:
    the function, by its short name, that gives an error. `asked`: how often memory was looked at.
    """

    free: int = 0
    total: int = 24 * GIB
    gpus: int = 1
    processes: tuple[tuple[int, int], ...] = ()
    fails: str = ""
    asked: int = 0
    opened: list[int] = field(default_factory=list)

    def nvmlInit_v2(self) -> int:  # noqa: N802 - NVML's
        return self._status("init")

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802 - NVML's
        count._obj.value = self.gpus
        return self._status("count")

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, device: Any) -> int:  # noqa: N802 - NVML's
        self.opened.append(index)
        device._obj.value = 7 + index
        return self._status("handle") if index < self.gpus else 2

    def nvmlDeviceGetMemoryInfo(self, device: Any, memory: Any) -> int:  # noqa: N802 - NVML's
        assert device.value == 7 + self.opened[-1]
        self.asked += 1
        memory._obj.total, memory._obj.free = self.total, self.free
        return self._status("memory")

    def nvmlDeviceGetComputeRunningProcesses_v3(  # noqa: N802 - NVML's
        self, device: Any, count: Any, processes: Any
    ) -> int:
        assert count._obj.value >= len(self.processes)
        for place, (pid, used) in enumerate(self.processes):
            processes[place].pid, processes[place].used = pid, used
        count._obj.value = len(self.processes)
        return self._status("processes")

    def memory(self, **environ: str) -> GpuMemory:
        """What the brain makes of it."""
        return GpuMemory(lambda _: self, environ)

    def _status(self, name: str) -> int:
        return 3 if name == self.fails else 0
