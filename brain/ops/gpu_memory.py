"""How much of the GPU's memory is free, asked of NVIDIA's driver itself.

NVML is a part of the driver, so there is nothing to install; where there is no such driver, or it
won't tell (a Jetson shares its memory with the CPU), the answer is that it isn't known. Names and
layouts are those of the NVML API reference, "Device Queries".
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_LIBRARY = "libnvidia-ml.so.1"
_GIB = 1 << 30


class _Memory(ctypes.Structure):
    """`nvmlMemory_t`: bytes."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class GpuMemory:
    """The first GPU of this machine. Opened once, as starting NVML takes longer than asking it."""

    def __init__(self, open_library: Callable[[str], Any] = ctypes.CDLL) -> None:
        self._nvml: Any = None
        self._device = ctypes.c_void_p()
        try:
            nvml = open_library(_LIBRARY)
            if (
                nvml.nvmlInit_v2() == 0
                and nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self._device)) == 0
            ):
                self._nvml = nvml
        except (OSError, AttributeError):
            return  # no driver, or one too old to know these functions

    def free_gb(self) -> float | None:
        """Free memory in GB of 2**30 bytes; None where it isn't known. Takes microseconds."""
        memory = _Memory()
        if self._nvml is None:
            return None
        if self._nvml.nvmlDeviceGetMemoryInfo(self._device, ctypes.byref(memory)) != 0:
            return None
        free: int = memory.free
        return round(free / _GIB, 2)
