"""`GET /sessions`: the robots that are connected and how their microphones sound.

For those who look after the brain; robots' names are told to who shows the token alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from brain.api.json_request import Refused, check_token
from brain.api.token import Tokens


def router(account: Callable[[], Mapping[str, Any]], *, tokens: Tokens) -> APIRouter:
    """The route. `account` is asked at each request."""
    routes = APIRouter()

    @routes.get("/sessions")
    async def get_sessions(request: Request) -> JSONResponse:
        try:
            check_token(request, tokens)
        except Refused as refused:
            return refused.response()
        body = {"robots": dict(account())}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    return routes
