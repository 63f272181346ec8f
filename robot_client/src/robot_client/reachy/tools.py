"""The app's tools as a `ToolBox`: beside the event loop, within a time limit."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from robot_client.reachy.app import App
from robot_client.reachy.picture import fit
from robot_client.requests import ToolSpec
from robot_client.tools import TIME_LIMIT_S, Tool, ToolBox

log = logging.getLogger(__name__)


def app_tools(app: App, deps: Any) -> ToolBox:
    """Every tool that the app has loaded, and whose spec is one. May raise what the app raises."""
    return ToolBox.of(_tool(app, deps, spec) for spec in app.tool_specs() if _can_be_offered(spec))


def _can_be_offered(spec: Mapping[str, Any]) -> bool:
    """One that isn't JSON would keep all the others, and the session, from the brain."""
    try:
        json.dumps([spec["name"], spec], allow_nan=False, ensure_ascii=False).encode()
    except (KeyError, TypeError, ValueError) as error:
        log.warning("the app's tool %.200r can't be offered to the brain: %r", spec, error)
        return False
    return True


def _tool(app: App, deps: Any, spec: Mapping[str, Any]) -> Tool:
    name = str(spec["name"])
    parameters = spec.get("parameters") or {"type": "object", "properties": {}}

    async def use(arguments: Mapping[str, Any]) -> dict[str, Any]:
        dispatched = app.dispatch(name, json.dumps(arguments, ensure_ascii=False), deps)
        return dict(await asyncio.wait_for(dispatched, TIME_LIMIT_S))

    def run(arguments: Mapping[str, Any]) -> dict[str, Any]:
        # The app's tools are coroutines, and yet some block (a camera, a vision model): so each
        # gets a thread and a loop of its own rather than the loop that hears and speaks.
        output = asyncio.run(use(arguments))
        if isinstance(picture := output.get("b64_im"), str):
            output["b64_im"] = fit(picture)
        return output

    return Tool(ToolSpec(name, str(spec.get("description", "")), parameters), run)
