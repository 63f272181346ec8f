"""`/ws`: the robot's socket, protocol 1 (docs/protocol.md). Translates; holds no logic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, WebSocket
from numpy.typing import NDArray

from brain import pictures
from brain.api import wire_in, wire_out
from brain.api.pace import Share
from brain.api.socket_session import Door, is_an_id, let_in, serve
from brain.api.token import Tokens
from brain.audio.pcm import to_bytes
from brain.dialogue import events, outputs
from brain.dialogue.session import Session
from brain.dialogue.sessions import Connection, Sessions

# What waits behind a picture waits no longer than a robot's ping may (`brain.web`).
_LOOKING = 0.5
_LOOKING_AT_ONCE_S = 1.0
_TOO_FAST = "pictures come faster than they can be looked at: send fewer, or smaller ones"


@dataclass(frozen=True)
class House:
    """What the socket tells each robot of the brain, as it stands at that moment."""

    profile: str
    voices: tuple[str, ...]
    engines: wire_out.EnginesOut


def router(
    sessions: Sessions,
    *,
    house: Callable[[], House],
    serves: asyncio.Event,
    tokens: Tokens,
    idle_limit_s: float,
    picture_edge: int = 640,
    log_speech: bool = False,
) -> APIRouter:
    """The route `/ws`. A session begins once `serves` is set. `picture_edge`: of a picture's longer
    edge, in pixels, at most."""
    routes = APIRouter()
    door = Door(sessions, serves, tokens, idle_limit_s, log_speech)

    @routes.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        if not await let_in(websocket, door):
            return
        robot_id = websocket.query_params.get("robot_id")
        if robot_id is not None and not is_an_id(robot_id):
            await websocket.close(4400, "robot_id has 1 to 64 printable characters")
            return
        await serve(websocket, door, _Wire(house, picture_edge), robot_id)

    return routes


class _Wire:
    """Protocol 1 on one connection."""

    def __init__(self, house: Callable[[], House], picture_edge: int) -> None:
        self._house = house
        self._picture_edge = picture_edge
        self._binary = False
        self._looking = Share(_LOOKING, _LOOKING_AT_ONCE_S, time.monotonic)
        self._left_out = False

    def greeting(self, connection: Connection) -> str:
        session, house = connection.session, self._house()
        return wire_out.ReadyOut(
            session_id=session.session_id,
            robot_id=session.robot_id,
            resumed=connection.resumed,
            profile=house.profile,
            voices=list(house.voices),
            input_sample_rate=session.config.input_sample_rate,
            output_sample_rate=session.config.output_sample_rate,
            engines=house.engines,
        ).model_dump_json()

    def frames(self, output: outputs.Output) -> Iterable[str | bytes]:
        if isinstance(output, outputs.SessionUpdated):
            self._binary = output.config.audio == "binary"
        if isinstance(output, outputs.ReplyAudio) and self._binary:
            yield to_bytes(output.audio.samples)
        elif not isinstance(output, outputs.Listening):  # protocol 1 has no word for it
            yield wire_out.message(output).model_dump_json()

    def sound(self, frame: str | bytes) -> NDArray[np.int16] | None:
        return wire_in.plain_sound(frame)

    def take(self, session: Session, frame: str | bytes) -> Awaitable[None] | None:
        if isinstance(frame, bytes):
            session.hear(wire_in.sound(frame))
        elif isinstance(message := wire_in.parse(frame), wire_in.ImageIn):
            return self._look(session, message)
        elif message is not None:
            _take(session, message)
        return None

    async def _look(self, session: Session, message: wire_in.ImageIn) -> None:
        """To unpack a picture takes a while, so: on a thread, and for a share of the time.

        What comes faster is left out; the robot is told once, until one is looked at again.
        """
        if not self._looking.left():
            if not self._left_out:
                self._left_out = True
                raise wire_in.WireError("image_overflow", _TOO_FAST, "image")
            return
        self._left_out = False
        data = wire_in.picture(message.data)
        began = time.monotonic()
        try:
            picture = await asyncio.to_thread(pictures.fitted, data, self._picture_edge)
        except pictures.BadPicture as error:
            raise wire_in.WireError("bad_image", f"image: {error}", "image") from None
        finally:
            self._looking.spend(time.monotonic() - began)
        session.show(picture, message.call_id)


def _take(session: Session, message: wire_in.RobotMessage) -> None:
    match message:
        case wire_in.AudioIn():
            session.hear(wire_in.sound(message.data))
        case wire_in.SessionIn():
            session.configure(message.changes())
        case wire_in.EndUtteranceIn():
            session.post(events.EndUtterance())
        case wire_in.ClearIn():
            session.post(events.Clear())
        case wire_in.CancelIn():
            session.post(events.Cancel())
        case wire_in.MuteIn():
            session.configure({"muted": True})
        case wire_in.UnmuteIn():
            session.configure({"muted": False})
        case wire_in.TextIn():
            session.post(events.Typed(message.text))
        case wire_in.SayIn():
            session.post(events.Say(message.text))
        case wire_in.ToolResultIn():
            follow_up = message.reply and not message.interrupted
            session.post(events.ToolResult(message.call_id, message.text, follow_up))
        case wire_in.ImageIn():
            raise AssertionError("a picture is looked at first")
        case wire_in.IdleIn():
            session.idle(message.seconds, message.note)
        case wire_in.PlayedIn():
            session.played(message.reply_id, message.ms / 1000)
        case wire_in.PingIn():
            session.pong(message.t)
