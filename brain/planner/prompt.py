"""The prompt of a plan: guardrails for the system, the world state as a few short lines.

The pocket mind is trained on these very words, so a change of `world_text` asks for `make pocket`.
"""

from __future__ import annotations

from collections.abc import Sequence

from brain.engines.ports import Message
from brain.planner.schema import EMOTIONS, GESTURES, OFFERED_SKILLS, PlanRequest

LOW_BATTERY_MV = 6800
NEAR_MM = 500
DOUBTFUL_CLEAR = 0.30


def system_text(*, max_actions: int = 5, skills: Sequence[str] = OFFERED_SKILLS) -> str:
    """The instructions to the planner, the same for every request."""
    return (
        "You plan the next moves of a small robot that plays with children of 5 to 12. "
        "Answer with one JSON object: "
        f'{{"actions": [at most {max_actions}], "ttl_ms": 500-5000}}.\n'
        'An action is {"action": "emote", "name", "intensity": 0-1}, '
        '{"action": "gesture", "name", "params"}, {"action": "skill", "name"} or '
        '{"action": "say", "text"}.\n'
        f"Emotes: {', '.join(EMOTIONS)}.\n"
        f"Gestures: {', '.join(GESTURES)}; look_at takes params.bearing in degrees.\n"
        f"Skills: {', '.join(skills)}.\n"
        "Words are few, kind, without personal data, at most 200 characters; in danger say to ask "
        "a grown-up. Speak of a ball, or go to it, only if the state says that it is seen. "
        "Something near: back_up or avoid_obstacle. Faults or unclear ground: be careful, stay. "
        "Battery low: be sleepy. Don't repeat what was just done. "
        'If nothing is worth doing: {"actions": [], "ttl_ms": 500}.'
    )


def world_text(request: PlanRequest) -> str:
    """The world state in a few short lines: what matters to a plan, and nothing else.

    Judgements that are plain arithmetic (near, low, certain) are made here, not by the model.
    """
    lines = [f"trigger {request.trigger}", f"mode {request.mode}"]
    if request.faults:
        lines.append("faults " + ", ".join(request.faults))
    lines.append("range " + _range_text(request.range_mm))
    if request.clear_confidence >= 0:
        doubtful = request.clear_confidence < DOUBTFUL_CLEAR
        lines.append("ground " + ("unclear" if doubtful else "clear"))
    if request.ball_is_certain:
        lines.append(f"ball seen at {request.ball_bearing_deg:.0f}")
    voltage = request.voltage_mv
    if voltage is not None:
        lines.append("battery " + ("low" if voltage < LOW_BATTERY_MV else "good"))
    if request.speed_l_mm_s or request.speed_r_mm_s:
        lines.append("moving")
    if request.face_talking:
        lines.append("talking")
    if request.face_listening:
        lines.append("listening")
    lines.append(f"doing {request.planner_active_skill}")
    if request.recent_events:
        lines.append("recent " + ", ".join(request.recent_events[-4:]))
    return "\n".join(lines)


def plan_messages(
    request: PlanRequest, *, max_actions: int = 5, skills: Sequence[str] = OFFERED_SKILLS
) -> list[Message]:
    """The conversation that asks a language model for a plan."""
    return [
        Message("system", system_text(max_actions=max_actions, skills=skills)),
        Message("user", world_text(request)),
    ]


def _range_text(range_mm: int) -> str:
    if range_mm <= 0:
        return "unknown"
    return "near" if range_mm < NEAR_MM else "free"
