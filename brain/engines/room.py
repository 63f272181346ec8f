"""Whether there is memory for a model, asked before it is loaded.

The kernel doesn't refuse what it can't give: it ends the process that touches it, or, where the
weights are a mapped file, reads them from the disk again for each token.
"""

from __future__ import annotations

from pathlib import Path

from brain.engines.ports import EngineUnavailable

_MEMINFO = Path("/proc/meminfo")
# An integrated GPU (a Jetson's) has the machine's memory. NVIDIA puts this file on all of them.
_JETSON = Path("/etc/nv_tegra_release")


def gpu_shares_memory(marker: Path = _JETSON) -> bool:
    """Whether this machine's GPU has no memory of its own."""
    return marker.exists()


def available_bytes(meminfo: Path = _MEMINFO) -> int | None:
    """What can still be had without swapping; None where nobody knows."""
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None


def room_for(needed: int, what: str, advice: str) -> None:
    """Raises `EngineUnavailable`, with both numbers, if `needed` bytes for `what` are more than
    there is. `advice` says what to do about it."""
    there = available_bytes()
    if there is not None and needed > there:
        raise EngineUnavailable(
            f"{what} needs {needed / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are free: "
            f"{advice}."
        )
