"""Following a face with the head."""

from __future__ import annotations

from typing import Any, ClassVar

from reachy_mini_conversation_app.tools.core_tools import Tool, ToolDependencies


class HeadTracking(Tool):
    name = "head_tracking"
    description = "Start or stop following the user's face with the head."
    parameters_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"start": {"type": "boolean"}},
        "required": ["start"],
    }

    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        start = bool(kwargs.get("start"))
        if deps.camera_worker is not None:
            deps.camera_worker.set_head_tracking_enabled(start)
        return {"status": f"head tracking {'started' if start else 'stopped'}"}
