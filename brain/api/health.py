"""`GET /health` (the supervisor's) and `GET /ready` (for probes). What they say is given in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from brain.api.token import Tokens

# A proxy between robot and brain must not answer for the brain.
_HEADERS = {"Cache-Control": "no-store"}


class Report(Protocol):
    """An answer: HTTP status and JSON body."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> Mapping[str, Any]: ...


def router(
    health: Callable[[bool], Report], ready: Callable[[], Report], *, tokens: Tokens
) -> APIRouter:
    """The two routes. `health` and `ready` are asked at each request; they must not block.

    Neither asks for a token. `health` is told whether one of `tokens` was shown: who the robots are
    is nobody else's business.
    """
    routes = APIRouter()

    @routes.get("/health")
    async def get_health(request: Request) -> JSONResponse:
        return _response(health(tokens.shown_by(request)))

    @routes.get("/ready")
    async def get_ready() -> JSONResponse:
        return _response(ready())

    return routes


def _response(report: Report) -> JSONResponse:
    return JSONResponse(dict(report.body), status_code=report.status, headers=_HEADERS)
