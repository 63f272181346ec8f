"""`POST /tts`: text in, sound out, as the supervisor knows it. Translates; holds no logic.

The sound is PCM, 16-bit little-endian, mono, 16 kHz; a WAV file for who accepts `audio/wav`.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Message, Receive, Scope, Send

from brain.api.json_request import Refused, check_token, read
from brain.api.speech_log import speech
from brain.api.token import Tokens
from brain.audio.pcm import to_bytes
from brain.audio.resample import Resampler
from brain.engines.ports import (
    Cancelled,
    Emotion,
    EngineBusy,
    EngineError,
    Priority,
    Synthesizer,
    Ticket,
)

log = logging.getLogger(__name__)

RATE = 16_000
_MOST_CHARACTERS = 4_000
_MOST_BYTES = 64 << 10
# An engine is faster than any listener, and what it has made waits in memory: about 3 KB a letter.
_MOST_CHARACTERS_UNDER_WAY = 40_000
_STOPPED_READING_S = 30.0
_SILENCE = np.zeros(RATE // 5, np.int16)
_ANONYMOUS = "(tts)"
_BUSY = "tts_busy_no_fallback"
_UNAVAILABLE = "tts_unavailable"

_WAV_TYPES = frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/*"})
_RAW_TYPE = "application/octet-stream"
_UNKNOWN_LENGTH = 0xFFFFFFFF


class TtsRequest(BaseModel):
    """What to say. Fields that aren't here are left alone; an unknown voice is the default one,
    an unknown emotion the neutral one."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    text: str = Field(max_length=_MOST_CHARACTERS)
    emotion: str | None = Field(None, max_length=64)
    intensity: float = Field(0.5, ge=0, le=1)
    stream: bool = True
    voice: str | None = Field(None, max_length=200)
    robot_id: str | None = Field(None, max_length=64)
    seq: int | None = Field(None, ge=0)
    monotonic_ts_ms: int | None = Field(None, ge=0)


def router(
    mouth: Synthesizer | None,
    *,
    emotions: Mapping[str, str],
    tokens: Tokens,
    log_speech: bool = False,
) -> APIRouter:
    """The route `/tts`. `mouth` None: text only. `emotions`: what a client may call an emotion,
    and what the engines call it."""
    routes = APIRouter()
    load = _Load()

    @routes.post("/tts")
    async def post_tts(request: Request) -> Response:
        try:
            check_token(request, tokens)
            asked = await read(request, TtsRequest, most_bytes=_MOST_BYTES)
            if not asked.text.strip():
                raise Refused(400, "empty_text", "empty text")
            if mouth is None:
                raise _refusal(_UNAVAILABLE)
        except Refused as refused:
            return refused.response()
        if log_speech:
            speech.info("tts for %s: %s", asked.robot_id or _ANONYMOUS, asked.text)
        name = (asked.emotion or "neutral").strip().lower()
        if name not in emotions:
            log.debug("tts: unknown emotion %r is spoken as neutral", name)
        emotion = Emotion(emotions.get(name, "neutral"), asked.intensity)
        return _Speech(
            mouth, asked, emotion, load, wav=wants_wav(",".join(request.headers.getlist("accept")))
        )

    return routes


def wants_wav(accept: str) -> bool:
    """Whether an `Accept` header asks for a WAV file, rather than for raw PCM or for anything."""
    wav = raw = 0.0
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        quality = min((_quality(p[2:]) for p in parameters if p.startswith("q=")), default=1.0)
        if kind in _WAV_TYPES:
            wav = max(wav, quality)
        elif kind == _RAW_TYPE:
            raw = max(raw, quality)
    return wav > raw


def wav_header(data_bytes: int | None) -> bytes:
    """The 44 bytes before 16-bit mono PCM at `RATE` (RIFF WAVE, format 1).

    None: the length isn't known yet. Both sizes are then the largest there is, as ffmpeg has it
    for pipes: players read to the end.
    """
    riff = _UNKNOWN_LENGTH if data_bytes is None else data_bytes + 36
    data = _UNKNOWN_LENGTH if data_bytes is None else data_bytes
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16,
        b"data", data,
    )  # fmt: skip


@dataclass
class _Load:
    """Characters of the texts under way."""

    characters: int = 0


class _Speech(Response):
    """The answer to one request: the status waits for the first block of sound."""

    def __init__(
        self, mouth: Synthesizer, asked: TtsRequest, emotion: Emotion, load: _Load, *, wav: bool
    ) -> None:
        super().__init__()
        self._mouth, self._asked, self._emotion = mouth, asked, emotion
        self._load, self._wav = load, wav

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = len(self._asked.text)
        if self._load.characters + size > _MOST_CHARACTERS_UNDER_WAY:
            await _refusal(_BUSY).response()(scope, receive, send)
            return
        ticket = Ticket(self._asked.robot_id or _ANONYMOUS, Priority.PLAN, waits=False)
        gone = asyncio.ensure_future(_gone(receive))
        gone.add_done_callback(lambda _: ticket.cancel.cancel())
        self._load.characters += size
        try:
            async with aclosing(self._sound(ticket)) as sound:
                refused = await self._answer(sound, send)
            if refused is not None:
                await refused.response()(scope, receive, send)
        finally:
            self._load.characters -= size
            gone.cancel()

    async def _answer(self, sound: AsyncGenerator[bytes, None], send: Send) -> Refused | None:
        """Send the sound, or say why there is none."""
        try:
            head = [await anext(sound)] if self._asked.stream else [pcm async for pcm in sound]
        except EngineBusy:
            return _refusal(_BUSY)
        except EngineError as error:
            log.debug("tts: no sound: %s", error)
            return _refusal(_UNAVAILABLE)
        whole = not self._asked.stream
        if self._wav:
            head.insert(0, wav_header(sum(map(len, head)) if whole else None))
        await send(self._start(sum(map(len, head)) if whole else None))
        try:
            for pcm in head:
                await _give(send, pcm)
            async for pcm in sound:
                await _give(send, pcm)
        except Cancelled:
            return None  # the client has gone
        except (EngineError, asyncio.TimeoutError) as error:
            # Not ended: the server cuts the connection, and so the client knows of it.
            log.warning("tts: broken off: %s", str(error) or "the client stopped reading")
            return None
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return None

    async def _sound(self, ticket: Ticket) -> AsyncGenerator[bytes, None]:
        """PCM of what is said; a short silence if there is nothing in it to say."""
        said = self._mouth.stream(
            self._asked.text, voice=self._asked.voice, emotion=self._emotion, ticket=ticket
        )
        resampler: Resampler | None = None
        async with aclosing(said) as blocks:
            async for block in blocks:
                resampler = resampler or Resampler(block.sample_rate, RATE)
                if pcm := to_bytes(resampler.push(block.samples)):
                    yield pcm
        yield to_bytes(resampler.flush() if resampler is not None else _SILENCE)

    def _start(self, length: int | None) -> Message:
        headers = {
            "content-type": "audio/wav" if self._wav else _RAW_TYPE,
            "x-audio-sample-rate": str(RATE),
            "x-audio-channels": "1",
            "cache-control": "no-store",
        }
        if length is not None:
            headers["content-length"] = str(length)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return {"type": "http.response.start", "status": 200, "headers": raw}


def _refusal(code: str) -> Refused:
    # Only to wait for one's turn helps.
    again = {"Retry-After": "1"} if code == _BUSY else None
    return Refused(503, code, code, again)


async def _give(send: Send, data: bytes) -> None:
    message = {"type": "http.response.body", "body": data, "more_body": True}
    await asyncio.wait_for(send(message), _STOPPED_READING_S)


async def _gone(receive: Receive) -> None:
    """Return when the client has gone, or has had its answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
