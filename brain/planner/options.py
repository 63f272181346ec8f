"""The settings of the planner."""

from __future__ import annotations

from dataclasses import dataclass

from brain.planner.schema import ALL_SKILLS, OFFERED_SKILLS
from brain.settings import Settings

# Enough for another wording, too little for nonsense.
_LEAST_VARIETY = 0.4


@dataclass(frozen=True)
class PlanOptions:
    """How plans are made.

    `inflight` at once, the rest is sent away; `timeout_s` for a whole plan, a second try included;
    `varied_temperature` where the same answer once more would be of no use. `cache_entries`
    situations (0: none) are kept `cache_s` each.
    """

    inflight: int = 1
    timeout_s: float = 20.0
    max_actions: int = 5
    skills: tuple[str, ...] = OFFERED_SKILLS
    varied_temperature: float = 0.7
    cache_entries: int = 0
    cache_s: float = 120.0


def plan_options(settings: Settings) -> PlanOptions:
    """What the settings say of plans."""
    timeout_s, temperature = {
        "ollama": (settings.plan_timeout_s, settings.temperature),
        "vllm": (settings.vllm_timeout_s, settings.vllm_temperature),
    }.get(settings.llm_backend, (settings.llm_timeout_s, settings.llm_temperature))
    if settings.embedded_mind:  # which loses its way when it is left to chance
        temperature = 0.0
    return PlanOptions(
        inflight=settings.plan_max_inflight,
        timeout_s=timeout_s,
        max_actions=settings.max_actions,
        skills=_skills(settings.plan_skills),
        varied_temperature=max(temperature, _LEAST_VARIETY),
        cache_entries=settings.plan_cache_entries,
        cache_s=settings.plan_cache_s,
    )


def _skills(names: str) -> tuple[str, ...]:
    """In the order of the contract, each once: the prompt is the same however they were listed."""
    if names == "all":
        return ALL_SKILLS
    wanted = {name.strip() for name in names.split(",")}
    return tuple(name for name in ALL_SKILLS if name in wanted)
