"""What of a world state matters to a plan, judged once: for the prompt, the rules and the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from brain.planner.schema import PlanRequest

LOW_BATTERY_MV = 6800
NEAR_MM = 500
DOUBTFUL_CLEAR = 0.30
_LONGEST_WORDS = 40


@dataclass(frozen=True)
class Situation:
    """A world state without its numbers. Robots in the same situation may get the same plan.

    The robot's own words are on one line each, so that they can't pose as another part of the
    state. `near`, `unclear` and `battery_low` None: the robot doesn't know.
    """

    trigger: str
    mode: str
    faults: tuple[str, ...]
    near: bool | None
    unclear: bool | None
    ball: bool
    battery_low: bool | None
    moving: bool
    talking: bool
    listening: bool
    doing: str

    @property
    def distance(self) -> Literal["near", "free", "unknown"]:
        """The way ahead in a word."""
        if self.near is None:
            return "unknown"
        return "near" if self.near else "free"

    @property
    def asks_for_caution(self) -> bool:
        """Something is wrong with the robot, or it can't trust the ground."""
        return bool(self.faults) or bool(self.unclear)


def situation_of(request: PlanRequest) -> Situation:
    """Judge what is plain arithmetic, so that no model has to."""
    voltage = request.voltage_mv
    clear = request.clear_confidence
    return Situation(
        trigger=one_line(request.trigger),
        mode=one_line(request.mode),
        faults=tuple(map(one_line, request.faults)),
        near=request.range_mm < NEAR_MM if request.range_mm > 0 else None,
        unclear=clear < DOUBTFUL_CLEAR if clear >= 0 else None,
        ball=request.ball_is_certain,
        battery_low=voltage < LOW_BATTERY_MV if voltage is not None else None,
        moving=bool(request.speed_l_mm_s or request.speed_r_mm_s),
        talking=request.face_talking,
        listening=request.face_listening,
        doing=one_line(request.planner_active_skill),
    )


def one_line(words: str) -> str:
    """`words` without line breaks, with single spaces, and not long."""
    return " ".join(words.split())[:_LONGEST_WORDS]
