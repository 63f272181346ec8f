"""Frames that are had at once: all of them, in the order in which they came, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from brain.api.direct_frames import set_taker
from brain.web import http_server
from tests.e2e.sockets import a_brain, a_robot, quiet, tone

Frame = str | bytes


class App:
    """An ASGI application that takes at once what doesn't begin with `q`, and keeps all."""

    def __init__(self) -> None:
        self.at_once: list[Frame] = []
        self.all: list[Frame] = []
        self.caught_up, self.ended = asyncio.Event(), asyncio.Event()

    def take(self, frame: Frame) -> bool:
        if frame[:1] in ("q", b"q", ""):
            return False
        self.at_once.append(frame)
        self._keep(frame)
        return True

    def _keep(self, frame: Frame) -> None:
        self.all.append(frame)
        if frame in ("gh", "end"):
            (self.caught_up if frame == "gh" else self.ended).set()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            set_taker(scope, self.take)
            message = await receive()
            set_taker(scope, None)
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            await asyncio.sleep(0.01)  # to take it takes a while
            self._keep(message["bytes"] if text is None else text)


@asynccontextmanager
async def served(app: App) -> AsyncIterator[ClientConnection]:
    server: uvicorn.Server = http_server(app)  # type: ignore[arg-type]
    with uvicorn.Config(app, port=0, log_config=None).bind_socket() as listener:
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for this
            await asyncio.sleep(0.01)
        try:
            async with connect(f"ws://127.0.0.1:{listener.getsockname()[1]}") as socket:
                yield socket
        finally:
            server.should_exit = True
            await serving


def test_every_frame_comes_once_and_in_order() -> None:
    sent: list[Frame] = [
        "a", b"b", "queued", "c", "d", "", b"q", b"", "e", "queued", "queued", "f",
    ]  # fmt: skip

    async def main() -> App:
        app = App()
        async with served(app) as socket:
            for frame in sent:
                await socket.send(frame)
            await socket.send(["g", "h"])  # in two pieces
            await asyncio.wait_for(app.caught_up.wait(), 5)
            for frame in (b"at once", "end"):
                await socket.send(frame)
            await asyncio.wait_for(app.ended.wait(), 5)
        return app

    app = asyncio.run(main())
    assert app.all == [*sent, "gh", b"at once", "end"]
    assert app.at_once[:2] == ["a", b"b"]
    assert app.at_once[-2:] == [b"at once", "end"]


def test_a_text_that_is_no_text_ends_the_socket_as_ever() -> None:
    async def main() -> int | None:
        async with served(App()) as socket:
            await socket.send(b"\xff", text=True)
            await socket.wait_closed()
            return socket.close_code

    assert asyncio.run(main()) == 1007


def test_what_is_wrong_is_told_between_what_is_right() -> None:
    """And a turn that is spoken around it is understood."""

    async def main() -> list[str]:
        async with a_brain() as address, a_robot(address) as robot:
            await robot.next("ready")
            await robot.speak(tone(300))
            await robot.send(type="audio", data="*no base64*")
            await robot.connection.send(b"\1\0\1")
            await robot.speak(tone(300))
            await robot.connection.send(quiet(700).tobytes())
            await robot.next("transcript_user")
            return [message["message"] for message in robot.seen if message["type"] == "error"]

    assert asyncio.run(main()) == [
        "audio: data must be base64 of 16-bit PCM",
        "audio: 16-bit PCM has an even byte count, got 3",
    ]
