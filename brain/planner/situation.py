"""What of a world state matters to a plan, judged once: for the prompt, the rules and the cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from brain.planner.schema import PlanRequest

LOW_BATTERY_MV = 6800
NEAR_MM = 500
DOUBTFUL_CLEAR = 0.30
LOW_CHARGE_PCT = 15
_LONGEST_WORDS = 40
_LONGEST_NAME = 24
_NO_NAME = re.compile(r"[^\w .:/-]")
# A robot in one of these modes is driven by somebody else, is held by a cable, or isn't to move.
_PARKED_MODES = frozenset(
    {
        "CHARGING",
        "DOCKED",
        "TELEOP",
        "MANUAL",
        "SLEEP",
        "SLEEPING",
        "ERROR",
        "FAULT",
        "ESTOP",
        "BOOT",
    }
)
_LIFTED = frozenset({"picked_up", "lifted", "in_hand"})


@dataclass(frozen=True)
class Situation:
    """A world state without its numbers. Robots in the same situation may get the same plan.

    The robot's own words are on one line each, so that they can't pose as another part of the
    state. `near`, `unclear` and `battery_low` None: the robot doesn't know (a range of 0 or less is
    no range). `parked`: its wheels are to stand still.
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
    parked: bool

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
    clear = request.clear_confidence
    return Situation(
        trigger=one_line(request.trigger),
        mode=one_line(request.mode),
        # A fault without a name is a fault.
        faults=tuple(one_name(fault) or "fault" for fault in request.faults),
        near=request.range_mm < NEAR_MM if request.range_mm > 0 else None,
        unclear=clear < DOUBTFUL_CLEAR if clear >= 0 else None,
        ball=request.ball_is_certain,
        battery_low=_battery_low(request),
        moving=bool(request.speed_l_mm_s or request.speed_r_mm_s),
        talking=request.face_talking,
        listening=request.face_listening,
        doing=one_name(request.planner_active_skill) or "nothing",
        parked=_parked(request),
    )


def _battery_low(request: PlanRequest) -> bool | None:
    """None: the robot doesn't say. On mains power it may be as low as it likes."""
    power, voltage = request.power, request.voltage_mv
    if power is not None:
        if power.charging or power.ac_present:
            return False
        if power.pmic_undervoltage:
            return True
        if power.soc_pct is not None:
            return power.soc_pct < LOW_CHARGE_PCT
    return voltage < LOW_BATTERY_MV if voltage else None


def _parked(request: PlanRequest) -> bool:
    return (
        request.mode.strip().upper() in _PARKED_MODES
        or request.trigger.strip().lower() in _LIFTED
        or (request.power is not None and request.power.charging)
    )


def one_line(words: str) -> str:
    """`words` without line breaks, with single spaces, and not long."""
    return " ".join(words.split())[:_LONGEST_WORDS]


def one_name(words: str) -> str:
    """`words` as a name that a model can read: letters, digits, spaces and `_-.:/`; not long."""
    return _NO_NAME.sub("", one_line(words))[:_LONGEST_NAME].strip()
