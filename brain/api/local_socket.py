"""`/ws`: the robot's socket, protocol 1 (docs/protocol.md). Translates; holds no logic."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from brain.api import wire_in, wire_out
from brain.audio.pcm import to_bytes
from brain.dialogue import events, outputs
from brain.dialogue.session import Session
from brain.dialogue.sessions import Connection, Full, GoingDown, Sessions

log = logging.getLogger(__name__)

_STOPPED_READING_S = 5.0


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
    token: str,
    idle_limit_s: float,
) -> APIRouter:
    """The route `/ws`. A session begins once `serves` is set. `token` empty: none is asked for."""
    routes = APIRouter()

    @routes.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        if token and not _shows(websocket, token):
            await websocket.close(4401, "token missing or wrong")
            return
        robot_id = websocket.query_params.get("robot_id")
        if robot_id is not None and not (0 < len(robot_id) <= 64 and robot_id.isprintable()):
            await websocket.close(4400, "robot_id has 1 to 64 printable characters")
            return
        await serves.wait()  # a moment after a start; what the robot sends meanwhile is kept
        try:
            connection = await sessions.open(robot_id)
        except Full as error:
            await websocket.close(4429, f"full; retry_after_s={error.retry_after_s}")
            return
        except GoingDown as error:
            await websocket.close(1001, str(error))
            return
        try:
            await _serve(websocket, connection, house(), idle_limit_s)
        finally:
            sessions.close(connection)

    return routes


def _shows(websocket: WebSocket, token: str) -> bool:
    scheme, _, shown = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        shown = websocket.query_params.get("token", "")
    return secrets.compare_digest(shown.strip().encode(), token.encode())


async def _serve(
    websocket: WebSocket, connection: Connection, house: House, idle_limit_s: float
) -> None:
    session = connection.session
    running, writing, reading = tasks = [
        asyncio.ensure_future(connection.run()),
        asyncio.ensure_future(_write(websocket, connection, house)),
        asyncio.ensure_future(_read(websocket, session, idle_limit_s)),
    ]
    try:
        # The session goes on for as long as it is read; then it ends, and the writer says so.
        await asyncio.wait((running, writing, reading), return_when=asyncio.FIRST_COMPLETED)
        session.hang_up(1000, "")
        await asyncio.wait((running, writing))
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                # A fault of ours; it has cost this session and no other.
                log.error("session %s broke", session.session_id, exc_info=outcome)


# -- brain -> robot ----------------------------------------------------------------------------


async def _write(websocket: WebSocket, connection: Connection, house: House) -> None:
    session = connection.session
    ready = wire_out.ReadyOut(
        session_id=session.session_id,
        robot_id=session.robot_id,
        resumed=connection.resumed,
        profile=house.profile,
        voices=list(house.voices),
        input_sample_rate=session.config.input_sample_rate,
        output_sample_rate=session.config.output_sample_rate,
        engines=house.engines,
    )
    try:
        await _in_time(websocket.send_text(ready.model_dump_json()))
        while not isinstance(output := await session.outputs.get(), outputs.Closed):
            if isinstance(output, outputs.ReplyAudio) and session.config.audio == "binary":
                await _in_time(websocket.send_bytes(to_bytes(output.audio.samples)))
            else:
                await _in_time(websocket.send_text(wire_out.message(output).model_dump_json()))
        await _in_time(websocket.close(output.code, output.reason))
    except asyncio.TimeoutError:
        log.warning("robot %s stopped reading", session.robot_id)
        session.hang_up(4410, "the robot stopped reading")
        await _drop(websocket, 4410)
    except (WebSocketDisconnect, RuntimeError):
        session.hang_up(1000, "")  # gone; starlette raises RuntimeError for a late send
    except Exception:
        # What can't be written is a fault of ours; the robot must not wait for ever.
        log.exception("a message to robot %s could not be written", session.robot_id)
        session.hang_up(1011, "internal error")
        await _drop(websocket, 1011)


async def _in_time(sending: Awaitable[None]) -> None:
    await asyncio.wait_for(sending, _STOPPED_READING_S)


async def _drop(websocket: WebSocket, code: int) -> None:
    """Close towards a robot that doesn't read; it may not even take the close."""
    try:
        await asyncio.wait_for(websocket.close(code), 1.0)
    except (asyncio.TimeoutError, WebSocketDisconnect, RuntimeError):
        log.debug("the close frame wasn't taken either")


# -- robot -> brain ----------------------------------------------------------------------------


async def _read(websocket: WebSocket, session: Session, idle_limit_s: float) -> None:
    loop = asyncio.get_running_loop()
    reason = f"no word from the robot for {idle_limit_s:g} s"
    while True:
        patience = loop.call_later(idle_limit_s, session.hang_up, 4408, reason)
        try:
            frame = await websocket.receive()
        finally:
            patience.cancel()
        if frame["type"] == "websocket.disconnect":
            session.hang_up(1000, "")
            return
        text = frame.get("text")
        data: str | bytes = frame["bytes"] if text is None else text
        if len(data.encode() if isinstance(data, str) else data) > wire_in.MAX_MESSAGE_BYTES:
            session.hang_up(4413, "a message is at most 1 MiB")
            return
        try:
            if isinstance(data, bytes):
                session.hear(wire_in.sound(data))
            elif (message := wire_in.parse(data)) is not None:
                _take(session, message)
        except wire_in.WireError as error:
            session.report(error.code, str(error))


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
        case wire_in.TextIn():
            session.post(events.Typed(message.text))
        case wire_in.SayIn():
            session.post(events.Say(message.text))
        case wire_in.ToolResultIn():
            follow_up = message.reply and not message.interrupted
            session.post(events.ToolResult(message.call_id, message.text, follow_up))
        case wire_in.ImageIn():
            session.report("vision_unavailable", "this brain's language model can't see")
        case wire_in.IdleIn():
            session.idle(message.seconds, message.note)
        case wire_in.PlayedIn():
            session.played(message.reply_id, message.ms / 1000)
        case wire_in.PingIn():
            session.pong(message.t)
