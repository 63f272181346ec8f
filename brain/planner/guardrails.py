"""What a plan may not do in a situation, checked after the model. Pure.

For children of 5 to 12: no unsafe words, no personal data; nothing is said while somebody speaks to
the robot. Of a ball only while it is certain. Unless the way is known to be free, nothing
that drives ahead; with faults
or on unclear ground only what is cautious; parked (charging, in somebody's hands, driven by
somebody else) nothing that turns a wheel.
"""

from __future__ import annotations

from collections.abc import Sequence

from brain.planner.schema import (
    GESTURES,
    Action,
    GestureAction,
    PlanRequest,
    Say,
    SkillAction,
)
from brain.planner.situation import Situation
from brain.planner.words import same_line, unfit

FORWARD_SKILLS = frozenset({"patrol_drift", "investigate_ball", "approach_until_range"})
BALL_SKILLS = frozenset({"investigate_ball", "approach_until_range"})
CAUTIOUS_SKILLS = frozenset({"avoid_obstacle", "retreat_and_recover", "greet_on_button"})
STILL_SKILLS = frozenset({"greet_on_button"})
WHEELED_GESTURES = frozenset({"look_at", "spin", "back_up"})
# A model is told the bearing in whole degrees.
_SAME_BEARING_DEG = 1.0


def allowed_skills(situation: Situation, offered: Sequence[str]) -> tuple[str, ...]:
    """Those of `offered` that may be done in `situation`."""
    return tuple(name for name in offered if _skill_fault(name, situation) is None)


def allowed_gestures(situation: Situation) -> tuple[str, ...]:
    """The gestures that may be made in `situation`."""
    return tuple(name for name in GESTURES if _gesture_fault(name, situation) is None)


def breach(action: Action, situation: Situation) -> str | None:
    """Why `action` may not be passed on in `situation`, as a short sentence; None if it may."""
    if isinstance(action, SkillAction):
        return _skill_fault(action.name, situation)
    if isinstance(action, GestureAction):
        return _gesture_fault(action.name, situation)
    if isinstance(action, Say) and situation.listening:
        return "say: somebody is speaking, so listen"
    if isinstance(action, Say):
        fault = unfit(action.text, ball=situation.ball)
        return f"say: {fault}" if fault else None
    return None


def without_repeats(actions: Sequence[Action], last_line: str = "") -> list[Action]:
    """Each action once, and no line that is `last_line`, which the robot said before."""
    kept: list[Action] = []
    for action in actions:
        repeats = isinstance(action, Say) and bool(last_line) and same_line(action.text, last_line)
        if not repeats and not any(_alike(action, other) for other in kept):
            kept.append(action)
    return kept


def looking_at_the_ball(
    actions: Sequence[Action], *, at: float, request: PlanRequest
) -> list[Action]:
    """`actions` with each look at the ball, which was `at` degrees, turned to where it is now.

    A single look is meant for the ball, whatever a small model made of the number: no other thing
    in a world state has a bearing. Of several, those elsewhere are a look around.
    """
    if not request.ball_is_certain:
        return list(actions)
    looks = sum(_bearing(action) is not None for action in actions)
    turned: list[Action] = []
    for action in actions:
        bearing = _bearing(action)
        if bearing is not None and (looks == 1 or abs(bearing - at) <= _SAME_BEARING_DEG):
            turned.append(_turned(action, request.ball_bearing))
        else:
            turned.append(action)
    return turned


def _bearing(action: Action) -> float | None:
    if isinstance(action, GestureAction) and action.name == "look_at":
        return float(action.params["bearing"])
    return None


def _turned(action: Action, to: float) -> Action:
    assert isinstance(action, GestureAction)
    return action.model_copy(update={"params": {**action.params, "bearing": to}})


# -- movements ---------------------------------------------------------------------------------


def _skill_fault(name: str, situation: Situation) -> str | None:
    if name not in STILL_SKILLS and situation.parked:
        return f"skill {name}: the robot is to stand still"
    if name in BALL_SKILLS and not situation.ball:
        return f"skill {name}: no ball is seen"
    if name in FORWARD_SKILLS and situation.near is not False:
        why = "something is near" if situation.near else "what is ahead isn't known"
        return f"skill {name}: {why}, so don't go ahead"
    if name not in CAUTIOUS_SKILLS and situation.asks_for_caution:
        why = "there are faults" if situation.faults else "the ground is unclear"
        return f"skill {name}: {why}, so be careful"
    return None


def _gesture_fault(name: str, situation: Situation) -> str | None:
    if name in WHEELED_GESTURES and situation.parked:
        return f"gesture {name}: the robot is to stand still"
    if name in ("spin", "back_up") and situation.asks_for_caution:
        return f"gesture {name}: be careful, stay"
    if name == "spin" and situation.battery_low:
        return "gesture spin: save strength"
    return None


def _alike(one: Action, other: Action) -> bool:
    if isinstance(one, Say) and isinstance(other, Say):
        return same_line(one.text, other.text)
    return one == other
