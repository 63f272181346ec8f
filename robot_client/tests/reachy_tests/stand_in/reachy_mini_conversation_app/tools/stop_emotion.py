"""The end of an emotion."""

from __future__ import annotations

from typing import Any, ClassVar

from reachy_mini_conversation_app.tools.core_tools import Tool, ToolDependencies


class StopEmotion(Tool):
    name = "stop_emotion"
    description = "End the emotion that is being shown."
    parameters_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"dummy": {"type": "boolean", "description": "Always true."}},
        "required": ["dummy"],
    }

    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        deps.movement_manager.clear_move_queue()
        return {"status": "stopped emotion and cleared queue"}
