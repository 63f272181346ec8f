"""One robot's WebSocket, whatever is spoken on it: the door, the reading, the writing, the end.

A `Wire` translates; this module keeps the limits that hold for every wire.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from fastapi import WebSocket, WebSocketDisconnect
from numpy.typing import NDArray

from brain.api import wire_in
from brain.api.direct_frames import set_taker
from brain.api.speech_log import speech
from brain.api.token import Tokens
from brain.dialogue import outputs
from brain.dialogue.config import SessionConfig
from brain.dialogue.session import Session
from brain.dialogue.sessions import Caller, Connection, Full, GoingDown, Sessions

log = logging.getLogger(__name__)

_STOPPED_READING_S = 5.0
_LONGEST_ID = 64


@dataclass(frozen=True)
class Door:
    """What every wire asks of a robot that connects.

    A session begins once `serves` is set. `idle_limit_s` None: a robot may be silent for as long
    as it answers the WebSocket's pings. `log_speech`: what is heard and said is logged.
    """

    sessions: Sessions
    serves: asyncio.Event
    tokens: Tokens
    idle_limit_s: float | None = None
    log_speech: bool = False


class Wire(Protocol):
    """One wire's way of saying things; made anew for each connection."""

    def greeting(self, connection: Connection) -> str:
        """The first frame that the robot gets."""

    def frames(self, output: outputs.Output) -> Iterable[str | bytes]:
        """What the robot gets of this output (never a `Closed`), in order; may be nothing."""

    def sound(self, frame: str | bytes) -> NDArray[np.int16] | None:
        """The microphone's sound in a frame that is nothing else, and as it should be: `hear` it.
        None: `take` the frame."""

    def take(self, session: Session, frame: str | bytes) -> Awaitable[None] | None:
        """Tell the session what is in a frame of the robot. Raises `wire_in.WireError`.

        What takes long is returned; the robot's next frame is read once it is done.
        """


def is_an_id(robot_id: str) -> bool:
    """Whether a robot may go by this name."""
    return 0 < len(robot_id) <= _LONGEST_ID and robot_id.isprintable()


def _address(websocket: WebSocket) -> str:
    """The peer's; empty where there is none (a Unix socket)."""
    return websocket.client.host if websocket.client else ""


async def let_in(websocket: WebSocket, door: Door) -> bool:
    """Whether the robot shows a token of the house's; one that doesn't is sent away."""
    if door.tokens.shown_by(websocket):
        return True
    log.info("a robot at %s is sent away: token missing or wrong", _address(websocket))
    await websocket.close(4401, "token missing or wrong")
    return False


async def serve(
    websocket: WebSocket,
    door: Door,
    wire: Wire,
    robot_id: str | None,
    *,
    defaults: SessionConfig | None = None,
    caller: Caller | None = None,
) -> None:
    """Give the robot a session, and serve it to its end; the socket is accepted already."""
    await door.serves.wait()  # a moment after a start; what the robot sends meanwhile is kept
    try:
        connection = await door.sessions.open(
            robot_id, address=_address(websocket), defaults=defaults, caller=caller
        )
    except Full as error:
        await websocket.close(4429, str(error))
        return
    except GoingDown as error:
        await websocket.close(1001, str(error))
        return
    robot, path = connection.session.robot_id, websocket.scope["path"]
    log.info(
        "robot %s at %s is on %s, resumed: %s", robot, connection.address, path, connection.resumed
    )
    try:
        await _converse(websocket, connection, wire, door)
    finally:
        door.sessions.close(connection)
        code = connection.closed.code if connection.closed else "?"
        log.info("robot %s has gone from %s, code %s", robot, path, code)


async def _converse(websocket: WebSocket, connection: Connection, wire: Wire, door: Door) -> None:
    session = connection.session
    running, writing, reading = tasks = [
        asyncio.ensure_future(connection.run()),
        asyncio.ensure_future(_write(websocket, connection, wire, log_speech=door.log_speech)),
        asyncio.ensure_future(_read(websocket, session, wire, door.idle_limit_s)),
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


async def _write(
    websocket: WebSocket, connection: Connection, wire: Wire, *, log_speech: bool
) -> None:
    session = connection.session
    try:
        await _in_time(websocket.send_text(wire.greeting(connection)))
        while not isinstance(output := await session.outputs.get(), outputs.Closed):
            if log_speech:
                _log_speech(session.robot_id, output)
            for frame in wire.frames(output):
                if isinstance(frame, bytes):
                    await _in_time(websocket.send_bytes(frame))
                else:
                    await _in_time(websocket.send_text(frame))
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


def _log_speech(robot: str, output: outputs.Output) -> None:
    """Only where the house asks for it (LOG_SPEECH): nowhere else is speech logged."""
    match output:
        case outputs.UserSaid():
            speech.info("robot %s heard: %s", robot, output.text)
        case outputs.AssistantSaid():
            speech.info("robot %s said: %s", robot, output.text)


async def _in_time(sending: Awaitable[None]) -> None:
    await asyncio.wait_for(sending, _STOPPED_READING_S)


async def _drop(websocket: WebSocket, code: int) -> None:
    """Close towards a robot that doesn't read; it may not even take the close."""
    try:
        await asyncio.wait_for(websocket.close(code), 1.0)
    except (asyncio.TimeoutError, WebSocketDisconnect, RuntimeError):
        log.debug("the close frame wasn't taken either")


# -- robot -> brain ----------------------------------------------------------------------------


async def _read(
    websocket: WebSocket, session: Session, wire: Wire, idle_limit_s: float | None
) -> None:
    patience = _Patience(session, idle_limit_s)

    def heard(frame: str | bytes) -> bool:
        """Most frames are sound, and sound needs no waiting for anybody."""
        samples = wire.sound(frame)
        if samples is None:
            return False
        patience.word()
        session.hear(samples)
        return True

    try:
        while True:
            set_taker(websocket.scope, heard)
            frame = await websocket.receive()
            set_taker(websocket.scope, None)  # what comes while this one is taken comes after it
            if frame["type"] == "websocket.disconnect":
                session.hang_up(1000, "")
                return
            text = frame.get("text")
            data: str | bytes = frame["bytes"] if text is None else text
            if heard(data):
                continue
            patience.word()
            if len(data.encode() if isinstance(data, str) else data) > wire_in.MAX_MESSAGE_BYTES:
                session.hang_up(4413, "a message is at most 1 MiB")
                return
            try:
                taking = wire.take(session, data)
                if taking is not None:
                    await taking
                    patience.word()
            except wire_in.WireError as error:
                session.report(error.code, str(error), turn=error.kind == "text")
    finally:
        set_taker(websocket.scope, None)
        patience.end()


class _Patience:
    """Hangs up on a robot that says nothing for `limit_s`; None: it is never lost."""

    def __init__(self, session: Session, limit_s: float | None) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._limit_s = limit_s
        self._heard_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._look()

    def word(self) -> None:
        """The robot has said something."""
        self._heard_at = self._loop.time()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        # (One timer for all words: to arm one for each would cost more than to take it.)
        if self._limit_s is None:
            return
        due = self._heard_at + self._limit_s
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._session.hang_up(4408, f"no word from the robot for {self._limit_s:g} s")
