"""Before every route, HTTP or WebSocket: is the page that sends it let in, and does its address
ask too often? What isn't let in gets its answer here, a socket before it is accepted."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from brain.api.json_request import Refused
from brain.api.origins import Origins
from brain.api.pace import Pace

log = logging.getLogger(__name__)


class Gate:
    """ASGI middleware. `requests_per_s` from each address, 0: any number; `clock` in seconds."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Origins,
        requests_per_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._app = app
        self._origins = origins
        self._pace = Pace(requests_per_s, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(HTTPConnection(scope))
        except Refused as refused:
            # (Of a socket the answer is HTTP, too: it isn't one yet.)
            await refused.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, connection: HTTPConnection) -> None:
        """Raises `Refused`."""
        address = connection.client.host if connection.client else ""
        wait_s = self._pace.wait_s(address)
        if wait_s:
            again = {"Retry-After": str(Pace.whole_seconds(wait_s))}
            detail = f"{address or 'this address'} asks too often"
            raise Refused(429, "too_many_requests", detail, again)
        host = connection.headers.get("host", "")
        for origin in connection.headers.getlist("origin"):
            if not self._origins.allow(origin, host):
                log.info("a web page of %r at %s isn't let in", origin[:80], address)
                detail = "a web page of this origin isn't let in (ALLOWED_ORIGINS)"
                raise Refused(403, "origin_not_allowed", detail)
