"""`/plan`."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel

from brain.settings.fields import setting
from brain.settings.values import SKILLS

_plan = partial(setting, group="Plans")


class PlanSettings(BaseModel):
    """Part of `Settings`."""

    plan_max_inflight: int = _plan(
        1, "Plans that are made at once; one more gets 429 planner_busy", ge=1, le=256
    )
    max_actions: int = _plan(5, "Most actions of a plan", ge=1, le=20)
    plan_skills: str = _plan(
        "patrol_drift,investigate_ball,avoid_obstacle,greet_on_button",
        "Skills that plans may use, separated by commas (all: the robot's other three too)",
        **SKILLS,
    )
    plan_cache_entries: int = _plan(
        64, "Situations whose plans are kept and used again (0: no cache)", ge=0, le=10000
    )
    plan_cache_s: float = _plan(120.0, "A plan is used again for so long", unit="s", ge=1, le=86400)
