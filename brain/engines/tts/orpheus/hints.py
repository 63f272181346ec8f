"""What to change where Orpheus runs out of memory or of time: for the log and the doctor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from brain.engines.ports import EngineError

E = TypeVar("E", bound=EngineError)

STARTED_ANEW = "Orpheus is started anew: "
"""What the log says of a failure that costs the model; the failure follows."""

SHARES_OF_VLLM = (
    "ORPHEUS_GPU_MEMORY_UTILIZATION",
    "ORPHEUS_MAX_NUM_SEQS",
    "ORPHEUS_MAX_NUM_BATCHED_TOKENS",
)
SHARES_OF_LLAMACPP = (
    "LLM_GPU_LAYERS",
    "ORPHEUS_MAX_MODEL_LEN",
    "ORPHEUS_MAX_NUM_BATCHED_TOKENS",
)

_MEMORY = re.compile(
    r"out of memory|outofmemory|cudamalloc failed|(failed|unable) to allocate|no available memory",
    re.IGNORECASE,
)


def hinted(error: E, lower: Sequence[str]) -> E:
    """`error`, with the settings to lower if it tells of memory that ran out and names none."""
    told = str(error)
    if not lower or not _MEMORY.search(told) or any(name in told for name in lower):
        return error
    named = ", ".join(lower[:-1]) + f" or {lower[-1]}"
    return type(error)(f"{told.rstrip('. ')}. (Memory ran out: lower {named}.)")


def late(idle_s: float, total_s: float, *, idle: bool) -> str:
    """What a time-out says. `idle`: no next sound came, else it wasn't done in all the time."""
    if idle:
        return (
            f"Orpheus made no sound for {idle_s:g} s: raise ORPHEUS_IDLE_TIMEOUT_S and "
            "ORPHEUS_TOTAL_TIMEOUT_S, or lower ORPHEUS_MAX_NUM_SEQS on a GPU that is too slow."
        )
    return (
        f"Orpheus wasn't done with a text in {total_s:g} s: raise ORPHEUS_TOTAL_TIMEOUT_S, or "
        "lower ORPHEUS_MAX_NUM_SEQS on a GPU that is too slow."
    )
