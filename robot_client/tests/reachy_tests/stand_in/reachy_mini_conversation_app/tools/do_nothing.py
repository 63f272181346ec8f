"""Nothing, on purpose."""

from __future__ import annotations

from typing import Any, ClassVar

from reachy_mini_conversation_app.tools.core_tools import Tool, ToolDependencies


class DoNothing(Tool):
    name = "do_nothing"
    description = "Stay still and silent on purpose."
    parameters_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "Why, if there is a why."}},
        "required": [],
    }

    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        return {"status": "doing nothing", "reason": kwargs.get("reason", "no reason given")}
