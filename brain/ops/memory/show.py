"""A memory plan in words, as JSON, and as tables for the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from brain.models.catalog import Hardware
from brain.ops.memory.plan import MemoryPlan, Part, Pool

SMALLER = "choose smaller models (brain models list), or less context (LLM_CONTEXT)"
_POOLS = {"memory": "memory", "gpu": "GPU memory"}


def where(part: Part, machine: Hardware) -> str:
    """Which memory a part lies in, as people call it."""
    if machine.shared:
        return "shared"
    return "GPU" if part.place == "gpu" else "RAM"


def size(part: Part) -> str:
    """In GB, or that nobody knows."""
    return "unknown" if part.gb is None else f"{part.gb:.2f}"


def as_lines(plan: MemoryPlan) -> list[str]:
    """The parts, a line each, then what they amount to."""
    rows = [("part", "GB", "lies in", "what", "says")]
    rows += [(p.name, size(p), where(p, plan.machine), p.what, p.source) for p in plan.parts]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [f"profile {plan.profile}, on {plan.machine.about}", ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
              for row in rows]  # fmt: skip
    return [*lines, "", *sums(plan)]


def sums(plan: MemoryPlan) -> list[str]:
    """What the parts amount to on the machine, how fast its mind can be, and what is wrong."""
    told = [pool_told(pool, plan.machine) for pool in plan.pools]
    if plan.speed is not None:
        speed = plan.speed
        read = f"{speed.bandwidth_gb_s:g} GB/s over the {speed.read_gb:.1f} GB read for a token"
        told.append(f"speed: at most {speed.tokens_s:.0f} tokens/s, reckoned: {read}")
    return [*told, f"error: {plan.refused}"] if plan.refused else told


def pool_told(pool: Pool, machine: Hardware) -> str:
    """One memory: needed, there, and what that means."""
    name = "memory, shared with the GPU" if machine.shared else _POOLS[pool.name]
    more = f" and what isn't known ({', '.join(pool.unknown)})" if pool.unknown else ""
    needed = f"{pool.needed_gb:.1f} GB{more}"
    if pool.there_gb is None:
        none = "there is no GPU" if pool.name == "gpu" else "how much there is isn't known"
        return f"{name}: {needed} needed; {none}"
    left = pool.there_gb - pool.needed_gb
    if pool.verdict == "error":
        means = f"{-left:.1f} GB too much: {SMALLER}"
    elif pool.scarce:
        means = f"hardly any is left ({left:.1f} GB): {SMALLER}"
    else:
        means = f"{left:.1f} GB are left"
    return f"{name}: {needed} needed of {pool.there_gb:.1f} GB; {means}"


def as_document(plans: Sequence[MemoryPlan]) -> Mapping[str, Any]:
    """For scripts: the plan on the first machine, and what it means on each."""
    first = plans[0]
    return {
        "profile": first.profile,
        "verdict": first.verdict,
        "refused": first.refused,
        "parts": [{**asdict(p), "lies_in": where(p, first.machine)} for p in first.parts],
        "speed": None if first.speed is None else asdict(first.speed),
        "machines": [
            {
                **asdict(plan.machine),
                "verdict": plan.verdict,
                "pools": [{**asdict(pool), "verdict": pool.verdict} for pool in plan.pools],
            }
            for plan in plans
        ],
    }
