"""Medians and percentiles, and what to say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Figures:
    """Of `count` measured values, all in ms. NaN where there are none."""

    count: int
    median: float
    p95: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.0f} ({self.p95:.0f})" if self.count else "-"


def figures(values: Sequence[float]) -> Figures:
    """Median and 95th percentile (linear between the nearest values)."""
    if not values:
        nan = float("nan")
        return Figures(0, nan, nan, nan, nan)
    median, p95 = (float(np.percentile(values, q)) for q in (50, 95))
    return Figures(len(values), median, p95, min(values), max(values))
