"""`POST /plan`: a world state in, a bounded plan out, as the supervisor knows it. Holds no logic.

`Server-Timing` (W3C) tells how long the language model took, and the whole request, in ms.
"""

from __future__ import annotations

import asyncio
import logging
import time

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.types import Receive

from brain.api.json_request import Refused, check_token, read
from brain.api.token import Tokens
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    EngineBusy,
    EngineError,
    EngineTimeout,
    EngineUnavailable,
)
from brain.planner.schema import PlanRequest
from brain.planner.service import PlanFailed, Planned, Planner

log = logging.getLogger(__name__)

# The longest world state that fits the bounds of its fields, and room for what is ignored.
_MOST_BYTES = 256 << 10


def router(planner: Planner, *, tokens: Tokens) -> APIRouter:
    """The route `/plan`."""
    routes = APIRouter()

    @routes.post("/plan")
    async def post_plan(request: Request) -> Response:
        began = time.perf_counter()
        try:
            check_token(request, tokens)
            asked = await read(request, PlanRequest, most_bytes=_MOST_BYTES)
            planned = await _plan(planner, asked, request.receive)
        except Refused as refused:
            return refused.response()
        total_s = time.perf_counter() - began
        return Response(
            planned.response.model_dump_json(),
            media_type="application/json",
            headers={"Cache-Control": "no-store", "Server-Timing": _timing(planned, total_s)},
        )

    return routes


async def _plan(planner: Planner, asked: PlanRequest, receive: Receive) -> Planned:
    """The plan; given up when the client goes. Raises `Refused`."""
    cancel = CancelToken()
    gone = asyncio.ensure_future(_gone(receive))
    gone.add_done_callback(lambda _: cancel.cancel())
    try:
        return await planner.plan(asked, cancel=cancel)
    except (EngineError, PlanFailed) as error:
        refused = _refusal(error)
        if not cancel.cancelled and refused.status != 429:
            log.warning("no plan for %s: %s", asked.robot_id, error)
        raise refused from error
    finally:
        gone.cancel()


def _refusal(error: Exception) -> Refused:
    match error:
        case EngineBusy():
            return Refused(429, "planner_busy", str(error), {"Retry-After": "1"})
        case EngineTimeout():
            return Refused(504, "llm_timeout", str(error))
        case EngineUnavailable() | Cancelled():
            return Refused(502, "llm_unreachable", str(error))
    return Refused(502, "llm_error", str(error))


async def _gone(receive: Receive) -> None:
    """Return when the client has gone, or has had its answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _timing(planned: Planned, total_s: float) -> str:
    parts = [f"engine;dur={planned.engine_s * 1000:.3f}", f"total;dur={total_s * 1000:.3f}"]
    return ", ".join([*parts, "cache"] if planned.cached else parts)
