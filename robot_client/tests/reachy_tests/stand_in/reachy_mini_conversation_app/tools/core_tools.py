"""The tools of the profile: loaded once, at import."""

from __future__ import annotations

import abc
import importlib
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from reachy_mini_conversation_app.config import config

logger = logging.getLogger(__name__)


@dataclass
class ToolDependencies:
    """What tools work on."""

    reachy_mini: Any
    movement_manager: Any
    camera_worker: Any | None = None
    vision_manager: Any | None = None
    head_wobbler: Any | None = None
    motion_duration_s: float = 1.0


class Tool(abc.ABC):
    """A tool has a name, a description and a JSON Schema, and is called with keywords."""

    name: str
    description: str
    parameters_schema: ClassVar[dict[str, Any]]

    def spec(self) -> dict[str, Any]:
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters_schema,
        }

    @abc.abstractmethod
    async def __call__(self, deps: ToolDependencies, **kwargs: Any) -> dict[str, Any]:
        """A dict, {"error": …} if it came to nothing."""


def _load() -> dict[str, Tool]:
    profile = config.REACHY_MINI_CUSTOM_PROFILE or "default"
    path = Path(__file__).parent.parent / "profiles" / profile / "tools.txt"
    if not path.exists():
        logger.error("no tools.txt at %s", path)
        sys.exit(1)
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    for name in (line for line in lines if line and not line.startswith("#")):
        importlib.import_module(f"reachy_mini_conversation_app.tools.{name}")
    return {kind.name: kind() for kind in Tool.__subclasses__()}


ALL_TOOLS: dict[str, Tool] = {}


def get_tool_specs(exclusion_list: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [tool.spec() for name, tool in ALL_TOOLS.items() if name not in exclusion_list]


async def dispatch_tool_call(
    tool_name: str, args_json: str, deps: ToolDependencies
) -> dict[str, Any]:
    tool = ALL_TOOLS.get(tool_name)
    if tool is None:
        return {"error": f"unknown tool: {tool_name}"}
    try:
        args = json.loads(args_json or "{}")
    except ValueError:
        args = {}
    try:
        return await tool(deps, **(args if isinstance(args, dict) else {}))
    except Exception as error:  # a tool may raise anything, the conversation goes on
        logger.exception("tool %s", tool_name)
        return {"error": f"{type(error).__name__}: {error}"}


# The tools import this module for `Tool`: it must be whole by now.
ALL_TOOLS.update(_load())
