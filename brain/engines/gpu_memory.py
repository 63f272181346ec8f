"""How much of the GPU's memory is free and who holds the rest, asked of NVIDIA's driver itself.

NVML is a part of the driver, so there is nothing to install; where there is no such driver, or it
won't tell (a Jetson shares its memory with the CPU), the answer is that it isn't known. Names and
layouts are those of the NVML API reference, "Device Queries".
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_LIBRARY = "libnvidia-ml.so.1"
_GIB = 1 << 30
_NOT_TOLD = (1 << 64) - 1
"""`NVML_VALUE_NOT_AVAILABLE`."""
_MOST_PROCESSES = 64


class _Memory(ctypes.Structure):
    """`nvmlMemory_t`: bytes."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class _Process(ctypes.Structure):
    """`nvmlProcessInfo_t`, as `nvmlDeviceGetComputeRunningProcesses_v3` fills it in."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


@dataclass(frozen=True)
class Filled:
    """A GPU's memory as it is now, bytes."""

    total: int
    free: int


@dataclass(frozen=True)
class Holder:
    """A process that computes on the GPU. `used`: bytes, None where the driver doesn't tell."""

    pid: int
    name: str
    used: int | None = None


class GpuMemory:
    """The GPU that CUDA would take here. Opened once, as starting NVML takes longer than asking it.

    Of several, which one that is can be told only where `CUDA_VISIBLE_DEVICES` begins with a
    number; else nothing is known of it.
    """

    def __init__(
        self,
        open_library: Callable[[str], Any] = ctypes.CDLL,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._nvml: Any = None
        self._device = ctypes.c_void_p()
        try:
            nvml = open_library(_LIBRARY)
            if nvml.nvmlInit_v2() != 0:
                return
            index = _chosen(nvml, environ.get("CUDA_VISIBLE_DEVICES", ""))
            if (
                index is not None
                and nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(self._device)) == 0
            ):
                self._nvml = nvml
        except (OSError, AttributeError):
            return  # no driver, or one too old to know these functions

    def look(self) -> Filled | None:
        """Its memory; None where it isn't known. Takes microseconds."""
        memory = _Memory()
        if self._nvml is None:
            return None
        if self._nvml.nvmlDeviceGetMemoryInfo(self._device, ctypes.byref(memory)) != 0:
            return None
        return Filled(int(memory.total), int(memory.free))

    def free_gb(self) -> float | None:
        """Free memory in GB of 2**30 bytes, as ORPHEUS_MIN_FREE_VRAM_GB counts; None where it isn't
        known."""
        found = self.look()
        return None if found is None else round(found.free / _GIB, 2)

    def holders(self) -> tuple[Holder, ...]:
        """The processes that compute on it, the largest first; empty where they aren't known."""
        if self._nvml is None:
            return ()
        processes = (_Process * _MOST_PROCESSES)()
        count = ctypes.c_uint(_MOST_PROCESSES)
        try:
            ask = self._nvml.nvmlDeviceGetComputeRunningProcesses_v3
        except AttributeError:
            return ()
        if ask(self._device, ctypes.byref(count), processes) != 0:
            return ()
        found = [
            Holder(one.pid, _name_of(one.pid), None if one.used == _NOT_TOLD else int(one.used))
            for one in processes[: count.value]
        ]
        return tuple(sorted(found, key=lambda one: -(one.used or 0)))


@cache
def this_gpu() -> GpuMemory:
    """This machine's."""
    return GpuMemory()


def _chosen(nvml: Any, visible: str) -> int | None:
    first = visible.split(",", maxsplit=1)[0].strip()
    if first.isdecimal():
        return int(first)
    count = ctypes.c_uint()
    if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0 or count.value != 1:
        return None
    return 0


def _name_of(pid: int) -> str:
    """As the kernel has it; empty for one of another container, say."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
