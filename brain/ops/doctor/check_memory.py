"""Whether the machine has room for what the settings ask for, and whether it is free now."""

from __future__ import annotations

from collections.abc import Iterator

from brain.ops.doctor.facts import Facts
from brain.ops.doctor.findings import Finding
from brain.ops.memory.plan import MemoryPlan, Pool
from brain.ops.memory.show import SMALLER, pool_told
from brain.settings import Settings
from brain.settings.budget import excess

_NAMES = {"memory": "memory", "gpu": "gpu-memory"}
_PLAN = "brain doctor --plan-only shows it part by part"


def check(settings: Settings, facts: Facts) -> list[Finding]:
    """Of the plan against the machine, then against what is free of it, then of vLLM's shares."""
    found = []
    if facts.plan is not None:
        found += [_fits(pool, facts.plan) for pool in facts.plan.pools if pool.there_gb is not None]
        found += _free(facts.plan, facts)
        if facts.plan.refused and not excess(settings):
            found.append(Finding("error", "gpu-memory", facts.plan.refused))
    if over := excess(settings):
        found.append(Finding("error", "gpu-memory", over))
    return found


def _fits(pool: Pool, plan: MemoryPlan) -> Finding:
    name, told = _NAMES[pool.name], pool_told(pool, plan.machine)
    if pool.verdict == "error" or pool.scarce:
        return Finding(pool.verdict, name, told.removesuffix(f": {SMALLER}"), SMALLER)
    return Finding("note" if pool.unknown else "ok", name, told, _PLAN if pool.unknown else "")


def _free(plan: MemoryPlan, facts: Facts) -> Iterator[Finding]:
    """Of a GPU of its own, while no brain has loaded what it needs there."""
    gpu = facts.machine.gpu
    if gpu is None or gpu.shared or gpu.free_gb is None or facts.running.is_a == "brain":
        return
    # (What the screen takes is taken already.)
    needed = sum(p.gb or 0.0 for p in plan.parts if p.place == "gpu" and p.name != "screen")
    if needed > gpu.free_gb:
        told = f"{needed:.1f} GB of the GPU's memory are needed, and {gpu.free_gb:.1f} GB are free"
        todo = "stop what else runs on the GPU (nvidia-smi lists it), or choose smaller models"
        yield Finding("warning", "gpu-memory", told, todo)
