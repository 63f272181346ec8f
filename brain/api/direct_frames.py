"""A WebSocket whose frames can be had at once, where uvicorn's go through a queue and a task.

A robot sends fifty frames of sound a second, each of which costs next to nothing to take; to stop
and restart reading and to wake a task for each costs several times that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "robot_brain.direct_frames"

Taker = Callable[[str | bytes], bool]
"""Takes a frame, or returns False: then it comes the ordinary way. Never raises."""


class DirectFrames(WebSocketsSansIOProtocol):
    """uvicorn's own, whose application may set a `taker`: see `taker_of`.

    It is asked for what comes while nothing waits in the queue, so that all stays in order.
    """

    taker: Taker | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # else there is no scope
            self.scope["extensions"][EXTENSION] = {"socket": self}

    def send_receive_event_to_app(self) -> None:
        if self.taker is not None and len(self.frames) == 1 and self.queue.empty():
            data = self.frames[0]
            frame = data if self.curr_msg_data_type == "bytes" else _text(data)
            if frame is not None and self.taker(frame):
                self.frames = []
                return
        super().send_receive_event_to_app()


def set_taker(scope: Mapping[str, Any], taker: Taker | None) -> None:
    """Have the frames of this ASGI WebSocket asked for, if it can be; None: no longer."""
    direct = scope.get("extensions", {}).get(EXTENSION)
    if direct is not None:
        direct["socket"].taker = taker


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
