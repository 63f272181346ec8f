"""How much memory another process of this machine holds. Linux only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory of a process (or the most it ever was) in MB, by proc(5).

    Raises `OSError` where there is no such process, or no /proc.
    """
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has ended")


@dataclass
class Memory:
    """Samples of a process's resident memory in MB, taken at even steps of its work.

    Raises `OSError` where there is no such process.
    """

    pid: int
    samples: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """The first sample."""
        self.sample()

    def sample(self) -> None:
        """One more."""
        self.samples.append(resident_mb(self.pid))

    def growth_mb(self) -> float:
        """The last quarter's median over the second quarter's: what a leak would show in.

        The first quarter is left out: caches fill and pools grow there.
        """
        quarters = np.array_split(np.array(self.samples), 4)
        if not len(quarters[-1]):
            return 0.0
        return float(np.median(quarters[-1]) - np.median(quarters[1]))

    def as_json(self) -> dict[str, float]:
        """Start, end, peak and growth. Raises `OSError` when the process has ended."""
        return {
            "start_mb": round(self.samples[0], 1),
            "end_mb": round(self.samples[-1], 1),
            "peak_mb": round(resident_mb(self.pid, peak=True), 1),
            "growth_mb": round(self.growth_mb(), 1),
        }
