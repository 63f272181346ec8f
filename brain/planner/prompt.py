"""The prompt of a plan: guardrails for the system, the world state as a few short lines.

The pocket mind is trained on these very words, so a change of `world_text` asks for `make pocket`.
"""

from __future__ import annotations

from collections.abc import Sequence

from brain.engines.ports import Message
from brain.planner.schema import EMOTIONS, GESTURES, OFFERED_SKILLS, PlanRequest
from brain.planner.situation import one_line, situation_of

# A robot in which everything is broken needs no longer a list than this, and a small mind has no
# room for one.
_MOST_FAULTS = 8


def system_text(*, max_actions: int = 5, skills: Sequence[str] = OFFERED_SKILLS) -> str:
    """The instructions to the planner, the same for every request."""
    way_out = "back_up or avoid_obstacle" if "avoid_obstacle" in skills else "back_up"
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
        f"Something near: {way_out}. Faults or unclear ground: be careful, stay. "
        "Battery low: be sleepy. Don't repeat what was just done. "
        'If nothing is worth doing: {"actions": [], "ttl_ms": 500}.'
    )


def world_text(request: PlanRequest) -> str:
    """The world state in a few short lines: what matters to a plan, and nothing else."""
    state = situation_of(request)
    lines = [f"trigger {state.trigger}", f"mode {state.mode}"]
    if state.faults:
        lines.append("faults " + ", ".join(state.faults[:_MOST_FAULTS]))
    lines.append(f"range {state.distance}")
    if state.unclear is not None:
        lines.append("ground " + ("unclear" if state.unclear else "clear"))
    if state.ball:
        lines.append(f"ball seen at {request.ball_bearing:.0f}")
    if state.battery_low is not None:
        lines.append("battery " + ("low" if state.battery_low else "good"))
    if state.moving:
        lines.append("moving")
    if state.talking:
        lines.append("talking")
    if state.listening:
        lines.append("listening")
    lines.append(f"doing {state.doing}")
    if request.recent_events:
        lines.append("recent " + ", ".join(map(one_line, request.recent_events[-4:])))
    return "\n".join(lines)


def plan_messages(
    request: PlanRequest, *, max_actions: int = 5, skills: Sequence[str] = OFFERED_SKILLS
) -> list[Message]:
    """The conversation that asks a language model for a plan."""
    return [
        Message("system", system_text(max_actions=max_actions, skills=skills)),
        Message("user", world_text(request)),
    ]
