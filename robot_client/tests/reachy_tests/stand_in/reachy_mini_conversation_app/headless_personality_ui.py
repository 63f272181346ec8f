"""The settings page's routes for personalities, on the settings server's own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from reachy_mini_conversation_app.config import config

DEFAULT_OPTION = "(built-in default)"
PATIENCE_S = 10


def mount_personality_routes(
    app: FastAPI, handler: Any, get_loop: Callable[[], asyncio.AbstractEventLoop | None]
) -> None:
    """The handler lives on another thread's loop; its coroutines are run there and waited for."""

    @app.get("/personalities")
    def listing() -> dict[str, Any]:
        profiles = Path(__file__).parent / "profiles"
        names = sorted(p.name for p in profiles.iterdir() if (p / "instructions.txt").exists())
        current = config.REACHY_MINI_CUSTOM_PROFILE or DEFAULT_OPTION
        return {"choices": [DEFAULT_OPTION, *names], "current": current}

    @app.post("/personalities/apply", response_model=None)
    async def apply(name: str = DEFAULT_OPTION) -> dict[str, Any] | JSONResponse:
        loop = get_loop()
        if loop is None:
            return JSONResponse({"ok": False, "error": "loop_unavailable"}, status_code=503)
        profile = None if name == DEFAULT_OPTION else name
        future = asyncio.run_coroutine_threadsafe(handler.apply_personality(profile), loop)
        try:
            return {"ok": True, "status": future.result(timeout=PATIENCE_S)}
        except Exception as error:  # noqa: BLE001  the page shows whatever went wrong
            return JSONResponse({"ok": False, "error": str(error)}, status_code=500)

    @app.get("/voices")
    async def voices() -> list[str]:
        loop = get_loop()
        if loop is None:
            return ["cedar"]
        future = asyncio.run_coroutine_threadsafe(handler.get_available_voices(), loop)
        try:
            return future.result(timeout=PATIENCE_S)
        except Exception:  # noqa: BLE001  the page always has a voice to offer
            return ["cedar"]
