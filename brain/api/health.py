"""`GET /health` (the supervisor's) and `GET /ready` (for probes). What they say is given in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fastapi import APIRouter
from fastapi.responses import JSONResponse

# A proxy between robot and brain must not answer for the brain.
_HEADERS = {"Cache-Control": "no-store"}


class Report(Protocol):
    """An answer: HTTP status and JSON body."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> Mapping[str, Any]: ...


def router(health: Callable[[], Report], ready: Callable[[], Report]) -> APIRouter:
    """The two routes. `health` and `ready` are asked at each request; they must not block."""
    routes = APIRouter()

    @routes.get("/health")
    async def get_health() -> JSONResponse:
        return _response(health())

    @routes.get("/ready")
    async def get_ready() -> JSONResponse:
        return _response(ready())

    return routes


def _response(report: Report) -> JSONResponse:
    return JSONResponse(dict(report.body), status_code=report.status, headers=_HEADERS)
