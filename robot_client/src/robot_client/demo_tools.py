"""Tools for a robot without a body: they only say what a body would do.

Their names and arguments are those of the Reachy Mini conversation app, which the brain offers
to its model when a robot brings no tools of its own (`DEFAULT_TOOLS`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from robot_client.requests import ToolSpec
from robot_client.tools import Tool, ToolBox

Show = Callable[[str], None]

_DOES: Mapping[str, str] = {
    "move_head": "turns its head",
    "head_tracking": "follows a face",
    "dance": "dances",
    "stop_dance": "stops dancing",
    "play_emotion": "shows a feeling",
    "stop_emotion": "stops showing a feeling",
    "do_nothing": "does nothing",
}


def demo_tools(show: Show, offered: Sequence[ToolSpec] = ()) -> ToolBox:
    """The built-in tools, and one for each of those offered. `show` gets a line for each use."""
    specs = [ToolSpec(name, "", {}) for name in (*_DOES, "camera")]
    return ToolBox.of(
        Tool(spec, _camera if spec.name == "camera" else _printer(spec.name, show))
        for spec in (*specs, *offered)
    )


def _printer(name: str, show: Show) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def run(arguments: Mapping[str, Any]) -> dict[str, Any]:
        details = ", ".join(f"{key}={value}" for key, value in arguments.items())
        show(f"the robot {_DOES.get(name, f'uses {name}')}" + (f" ({details})" if details else ""))
        return _result(name, arguments)

    return run


def _result(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the app's own tool would say."""
    if name == "move_head":
        return {"status": f"looking {arguments.get('direction', 'front')}"}
    if name == "head_tracking":
        return {"status": f"head tracking {'started' if arguments.get('start') else 'stopped'}"}
    if name in ("dance", "play_emotion"):
        return {"status": "queued", **arguments}
    return {"status": "ok"}


def _camera(_arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"error": "the camera isn't available"}
