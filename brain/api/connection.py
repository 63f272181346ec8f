"""One HTTP connection, before it is a request or a WebSocket: what uvicorn leaves unbounded.

uvicorn lets a client take for ever over a request's head, and lets the head be of any size.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_S = 10.0
"""So long a request's head may take, from the connection or the answer before it."""
HEAD_BYTES = 64 << 10
REQUEST_BYTES = 1 << 20
"""No route takes more, and those that take less say so before it is reached."""

_REFUSAL = {"error": "request_header_too_large", "detail": f"at most {HEAD_BYTES >> 10} KiB"}
_BODY = json.dumps(_REFUSAL).encode()
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class GuardedConnection(HttpToolsProtocol):
    """uvicorn's connection with the bounds above. Given to it as the class of its protocol."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0  # bytes since the read in which the request began
        self._in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._received > HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._received > REQUEST_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self._received = 0
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # else the next one had come meanwhile, and is under way
            self._wait_for_head()

    def handle_websocket_upgrade(self) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        # `close` sends what is left of the answer before: a long one, on a slow network. For who
        # doesn't take it the kernel has its own limit (TCP_USER_TIMEOUT).
        self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
