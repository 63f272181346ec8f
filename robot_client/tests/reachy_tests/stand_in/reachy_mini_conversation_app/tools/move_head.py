"""The head, to one side."""

from __future__ import annotations

from typing import Any, ClassVar

from reachy_mini_conversation_app.moves import Move
from reachy_mini_conversation_app.tools.core_tools import Tool, ToolDependencies


class MoveHead(Tool):
    name = "move_head"
    description = "Turn the head to one side, up, down, or back to the front."
    parameters_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "direction": {"type": "string", "enum": ["left", "right", "up", "down", "front"]}
        },
        "required": ["direction"],
    }

    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        direction = kwargs.get("direction")
        if not isinstance(direction, str):
            return {"error": "direction must be a string"}
        deps.movement_manager.queue_move(Move("head", direction, deps.motion_duration_s))
        deps.movement_manager.set_moving_state(deps.motion_duration_s)
        return {"status": f"looking {direction}"}
