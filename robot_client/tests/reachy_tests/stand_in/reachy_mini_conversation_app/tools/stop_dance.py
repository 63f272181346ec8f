"""The end of a dance."""

from __future__ import annotations

from typing import Any, ClassVar

from reachy_mini_conversation_app.tools.core_tools import Tool, ToolDependencies


class StopDance(Tool):
    name = "stop_dance"
    description = "End the dance that is going on."
    parameters_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"dummy": {"type": "boolean", "description": "Always true."}},
        "required": ["dummy"],
    }

    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        deps.movement_manager.clear_move_queue()
        return {"status": "stopped dance and cleared queue"}
