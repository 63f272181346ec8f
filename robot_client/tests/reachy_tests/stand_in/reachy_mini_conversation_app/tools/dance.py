"""Dances, queued and not waited for."""

from __future__ import annotations

from typing import Any, ClassVar

from reachy_mini_conversation_app.moves import Move
from reachy_mini_conversation_app.tools.core_tools import Tool, ToolDependencies

MOVES = (
    "simple_nod", "head_tilt_roll", "side_to_side_sway", "dizzy_spin", "stumble_and_recover",
    "headbanger_combo", "interwoven_spirals", "sharp_side_tilt", "side_peekaboo", "yeah_nod",
    "uh_huh_tilt", "neck_recoil", "chin_lead", "groovy_sway_and_roll", "chicken_peck",
    "side_glance_flick", "polyrhythm_combo", "grid_snap", "pendulum_swing", "jackson_square",
)  # fmt: skip


class Dance(Tool):
    name = "dance"
    description = "Dance one move, by name or a random one, once or several times."
    parameters_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "move": {"type": "string", "description": "One of: " + ", ".join(MOVES)},
            "repeat": {"type": "integer", "description": "How often; once if left out."},
        },
        "required": [],
    }

    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        move = kwargs.get("move")
        repeat = int(kwargs.get("repeat", 1))
        if not move or move == "random":
            move = MOVES[len(deps.movement_manager.moves) % len(MOVES)]
        if move not in MOVES:
            return {"error": f"Unknown dance move '{move}'. Available: {list(MOVES)}"}
        for _ in range(repeat):
            deps.movement_manager.queue_move(Move("dance", move))
        return {"status": "queued", "move": move, "repeat": repeat}
