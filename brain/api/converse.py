"""`/converse`: the supervisor's conversation (docs/protocol.md), on the same dialogue as `/ws`."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from fastapi import APIRouter, WebSocket
from numpy.typing import NDArray

from brain.api import converse_in, converse_out, wire_in
from brain.api.socket_session import Door, is_an_id, let_in, serve
from brain.api.token import Tokens
from brain.dialogue import events, outputs
from brain.dialogue.config import SessionConfig
from brain.dialogue.session import Session
from brain.dialogue.sessions import Caller, Connection, Sessions

log = logging.getLogger(__name__)

_RATE = 16_000
_MAX_TEMPERATURE = 2.0
_MAX_TOKENS = 8_192
_VAD = {"1": True, "true": True, "0": False, "false": False}

Query = Mapping[str, str]


def router(
    sessions: Sessions,
    *,
    vad: bool,
    serves: asyncio.Event,
    tokens: Tokens,
    log_speech: bool = False,
) -> APIRouter:
    """The route `/converse`. `vad`: silence ends a turn as well, unless the supervisor says no."""
    routes = APIRouter()
    # A supervisor has nothing to say until somebody speaks to it.
    door = Door(sessions, serves, tokens, log_speech=log_speech)

    @routes.websocket("/converse")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        if not await let_in(websocket, door):
            return
        query = websocket.query_params
        robot_id = query.get("robot_id", "")
        if not is_an_id(robot_id):
            await websocket.close(4400, "missing_robot_id")
            return
        caller = Caller(_whole(query, "session_seq"), _whole(query, "session_monotonic_ts_ms"))
        defaults = _defaults(sessions.house.defaults, query, vad=vad)
        await serve(websocket, door, _Wire(), robot_id, defaults=defaults, caller=caller)

    return routes


def _defaults(house: SessionConfig, query: Query, *, vad: bool) -> SessionConfig:
    """The session as it begins: no tools, and the sound of the contract."""
    asked = query.get("vad", "").lower()
    if asked and asked not in _VAD:
        _ignored("vad", asked, "1 or 0")
    return replace(
        house,
        input_sample_rate=_RATE,
        output_sample_rate=_RATE,
        audio="base64",
        tools=(),
        turn_detection=house.turn_detection if _VAD.get(asked, vad) else None,
        temperature=_temperature(query),
        max_output_tokens=_whole(query, "override_max_output_tokens", 1, _MAX_TOKENS),
    )


def _whole(query: Query, name: str, least: int = 0, most: int = 2**63 - 1) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,19}", text) and least <= int(text) <= most:
        return int(text)
    _ignored(name, text, f"a whole number from {least} to {most}")
    return None


def _temperature(query: Query) -> float | None:
    text = query.get("override_temperature")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 0 <= value <= _MAX_TEMPERATURE:
        return value
    _ignored("override_temperature", text, f"a number from 0 to {_MAX_TEMPERATURE:g}")
    return None


def _ignored(name: str, value: str, allowed: str) -> None:
    log.warning("/converse: %s=%r is ignored: %s was expected", name, value[:40], allowed)


class _Wire:
    """The supervisor's contract on one connection."""

    def __init__(self) -> None:
        self._telling = converse_out.Telling()

    def greeting(self, connection: Connection) -> str:
        log.info("robot %s on /converse is %s", connection.session.robot_id, connection.caller)
        return converse_out.ListeningOut().model_dump_json()

    def frames(self, output: outputs.Output) -> Iterable[str | bytes]:
        for message in self._telling.messages(output):
            yield message.model_dump_json(exclude_none=isinstance(message, converse_out.ErrorOut))

    def sound(self, frame: str | bytes) -> NDArray[np.int16] | None:
        return wire_in.plain_sound(frame)

    def take(self, session: Session, frame: str | bytes) -> None:
        message = converse_in.parse(frame) if isinstance(frame, str) else None
        match message:
            case converse_in.AudioIn():
                _hear(session, message.data)
            case None if isinstance(frame, bytes):  # raw PCM, as on /ws
                _hear(session, frame)
            case converse_in.EndUtteranceIn():
                session.post(events.EndUtterance())
            case converse_in.TextIn():
                session.post(events.Typed(message.text))
            case converse_in.CancelIn():
                session.post(events.Cancel())
                session.post(events.Clear())
            case converse_in.ProfileIn():
                session.configure({"speaker": message.text})
            case converse_in.PingIn():
                session.pong(message.t)


def _hear(session: Session, data: str | bytes) -> None:
    for piece in converse_in.sound(data):
        session.hear(piece)
