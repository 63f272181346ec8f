"""How much of the GPU the vLLM engines of a set of settings would reserve, and whether they may.

vLLM takes a share of the GPU's memory as it starts, and keeps it: two engines that together ask for
too much fail late, one of them, in words of CUDA. So the sum is looked at before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from brain.settings.model import Settings

_QWEN = "VLLM_GPU_MEMORY_UTILIZATION"
_ORPHEUS = "ORPHEUS_GPU_MEMORY_UTILIZATION"
_CAP = "GPU_UTILIZATION_CAP"


@dataclass(frozen=True)
class GpuBudget:
    """Shares of the GPU's memory, 0..1: of the language model, of Orpheus, and the most allowed.

    Engines that reserve no share (llama.cpp takes what its layers need) count as 0.
    """

    qwen: float
    orpheus: float
    cap: float

    @property
    def combined(self) -> float:
        # Rounded, or 0.35 and 0.45 would come to a hair's breadth beside 0.8.
        return round(self.qwen + self.orpheus, 6)

    @property
    def over(self) -> bool:
        return self.combined > self.cap


def orpheus_chosen(settings: Settings) -> bool:
    """Whether Orpheus would speak in performance mode."""
    return settings.tts_backend in {"auto", "orpheus"}


def orpheus_runs_on(settings: Settings) -> Literal["llamacpp", "vllm", "server"]:
    """What would run the model of Orpheus. On vLLM in this process alone it reserves a share."""
    backend = settings.orpheus_backend
    if backend != "auto":
        return backend
    return "vllm" if settings.llm_backend == "vllm" else "llamacpp"


def orpheus_may_speak(settings: Settings) -> bool:
    """Whether Orpheus speaks if it is there: it is chosen, and what it reserves is allowed."""
    if not (settings.performance_mode and orpheus_chosen(settings)):
        return False
    return not excess_of_orpheus(settings)


def configured(settings: Settings) -> GpuBudget:
    """The shares as the settings have them: Orpheus keeps its own while it may be switched on."""
    orpheus = orpheus_chosen(settings) and orpheus_runs_on(settings) == "vllm"
    return GpuBudget(
        settings.vllm_gpu_memory_utilization if settings.llm_backend == "vllm" else 0.0,
        settings.orpheus_gpu_memory_utilization if orpheus else 0.0,
        settings.gpu_utilization_cap,
    )


def reserved(settings: Settings) -> GpuBudget:
    """The shares that would really be taken: Orpheus starts in performance mode only."""
    budget = configured(settings)
    orpheus = budget.orpheus if settings.performance_mode else 0.0
    return GpuBudget(budget.qwen, orpheus, budget.cap)


def excess(settings: Settings) -> str:
    """What is over the cap, by how much, and what to change; empty if nothing is."""
    budget = reserved(settings)
    if not budget.over:
        return ""
    taken = [_QWEN] * bool(budget.qwen) + [_ORPHEUS] * bool(budget.orpheus)
    told = " and ".join(_told(settings, name) for name in taken)
    comes_to = f"come to {budget.combined:g} of the GPU," if len(taken) == 2 else "is"
    lower = "lower one of the two" if len(taken) == 2 else "lower it"
    return f"{told} {comes_to} over {_told(settings, _CAP)}: {lower}, or raise the cap"


def excess_of_vllm(settings: Settings) -> str:
    """As `excess`, of the language model alone: where both are too much, Orpheus goes first."""
    return excess(settings.model_copy(update={"performance_mode": False}))


def excess_of_orpheus(settings: Settings) -> str:
    """As `excess`, where Orpheus has a part in it."""
    return excess(settings) if reserved(settings).orpheus else ""


def _told(settings: Settings, name: str) -> str:
    value: float = getattr(settings, name.lower())
    return f"{name}={value:g} ({settings.origins[name]})"
