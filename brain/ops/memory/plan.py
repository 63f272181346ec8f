"""Parts, their sum, and what it means on a machine. GB are 10^9 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from brain.models.catalog import Hardware

Place = Literal["gpu", "ram"]
Verdict = Literal["ok", "warning", "error"]

_SCARCE = 0.9
"""Of a memory: who takes more leaves hardly any for what nobody thought of."""


@dataclass(frozen=True)
class Part:
    """One part. `gb` None: nobody knows. `source`: where the number comes from."""

    name: str
    what: str
    gb: float | None
    place: Place
    source: str


@dataclass(frozen=True)
class Speed:
    """Tokens a second that the mind can't pass: its memory is read once for each of them.
    `read_gb`: of it, a token, with half of its context full."""

    tokens_s: float
    read_gb: float
    bandwidth_gb_s: float


@dataclass(frozen=True)
class Pool:
    """One memory of the machine. `there_gb` None: there is none of which anything is known.

    `unknown`: the parts in it whose size nobody knows, which the sum leaves out.
    """

    name: Literal["memory", "gpu"]
    needed_gb: float
    there_gb: float | None
    unknown: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether it fits: "warning" where hardly anything is left, or a part isn't known."""
        if self.there_gb is None or self.needed_gb > self.there_gb:
            return "error"
        return "warning" if self.unknown or self.scarce else "ok"

    @property
    def scarce(self) -> bool:
        """Whether hardly anything is left of it."""
        return self.there_gb is not None and self.needed_gb > _SCARCE * self.there_gb


@dataclass(frozen=True)
class MemoryPlan:
    """What `parts` amount to on `machine`. `refused`: why the settings are none for any machine."""

    profile: str
    machine: Hardware
    parts: tuple[Part, ...]
    speed: Speed | None = None
    refused: str = ""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The memories of the machine that are needed, its own first."""
        if self.machine.shared:
            return (self._pool("memory", self.parts, self.machine.memory_gb),)
        there: dict[Place, float] = {"ram": self.machine.memory_gb, "gpu": self.machine.gpu_gb}
        found = []
        for place, size in there.items():
            parts = [part for part in self.parts if part.place == place]
            if parts:
                found.append(self._pool("gpu" if place == "gpu" else "memory", parts, size))
        return tuple(found)

    @property
    def verdict(self) -> Verdict:
        """The worst of its pools'."""
        verdicts = [pool.verdict for pool in self.pools]
        if self.refused or "error" in verdicts:
            return "error"
        return "warning" if "warning" in verdicts else "ok"

    def _pool(self, name: Literal["memory", "gpu"], parts: Sequence[Part], there_gb: float) -> Pool:
        needed = sum(part.gb for part in parts if part.gb is not None)
        unknown = tuple(part.name for part in parts if part.gb is None)
        return Pool(name, needed, there_gb or None, unknown)
