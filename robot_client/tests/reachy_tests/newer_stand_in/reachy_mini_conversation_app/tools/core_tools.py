"""The newer app's tools: loaded when told, and again with each personality."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from reachy_mini_conversation_app.config import config


@dataclass
class ToolDependencies:
    reachy_mini: Any
    movement_manager: Any
    instance_path: str | None = None
    camera_enabled: bool = False
    motion_duration_s: float = 1.0


ALL_TOOLS: list[str] = []


def initialize_tools(instance_path: str | None = None, *, force: bool = False) -> None:
    if ALL_TOOLS and not force:
        return
    own = ["dance", "investigate"] if config.REACHY_MINI_CUSTOM_PROFILE == "noir" else ["dance"]
    ALL_TOOLS[:] = [*own, "task_status", "task_cancel"]


def get_tool_specs(exclusion_list: list[str] | None = None) -> list[dict[str, Any]]:
    initialize_tools()
    return [
        {"type": "function", "name": name, "description": name, "parameters": {"type": "object"}}
        for name in ALL_TOOLS
        if name not in (exclusion_list or [])
    ]


async def dispatch_tool_call(
    tool_name: str, args_json: str, deps: ToolDependencies
) -> dict[str, Any]:
    if tool_name not in ALL_TOOLS:
        return {"error": f"unknown tool: {tool_name}"}
    return {"status": "queued", "tool": tool_name, "given": json.loads(args_json)}
