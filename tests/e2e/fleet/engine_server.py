"""A scripted engine server with fixed costs, OpenAI's way: nothing in it thinks, hears or speaks.

What it answers tells what it was given: the mind repeats the marks of all turns of the user, so
that a robot can see whether its history is whole; the ears give each sound a mark of its own. Run
as `python -m tests.e2e.fleet.engine_server NAME PORT`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

MODEL = "scripted-there"
RATE = 24_000
# Of an 8B on a shared GPU, a small Whisper, and a voice; seconds.
FIRST_TOKEN_S = 0.15
TOKEN_S = 0.005
HEAR_S = 0.1
SPEAK_S = 0.05
SOUND_S = 0.2
_MARK = re.compile(r"question (\d+)")


def answer_to(messages: list[dict[str, Any]]) -> str:
    """The marks of the user's turns, in the order in which they are told."""
    said = " ".join(str(one["content"]) for one in messages if one["role"] == "user")
    marks = _MARK.findall(said)
    return f"Heard {' '.join(marks)}." if marks else "Ready."


def app(name: str) -> FastAPI:
    """The server. `name`: a digit, in the marks that its ears give."""
    routes = FastAPI(openapi_url=None)
    numbers = itertools.count(1)

    @routes.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "tests"}]}

    @routes.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        asked = await request.json()
        text = answer_to(asked["messages"])
        if not asked.get("stream"):
            await asyncio.sleep(FIRST_TOKEN_S)
            return Response(json.dumps(_whole(text)), media_type="application/json")
        return StreamingResponse(_chunks(text), media_type="text/event-stream")

    @routes.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> dict[str, str]:
        body = await request.body()
        await asyncio.sleep(HEAR_S)
        return {"text": f"question 9{name}{next(numbers):05}"} if b"RIFF" in body else {"text": ""}

    @routes.post("/v1/audio/speech")
    async def speech(request: Request) -> Response:
        asked = await request.json()
        await asyncio.sleep(SPEAK_S)
        sound = b"\x10\x00" * int(RATE * SOUND_S)
        if asked.get("response_format") == "wav":
            return Response(_wav(sound), media_type="audio/wav")
        return Response(sound, media_type="audio/pcm")

    return routes


async def _chunks(text: str) -> AsyncIterator[str]:
    await asyncio.sleep(FIRST_TOKEN_S)
    for word in re.findall(r"\S+\s*", text):
        yield _event({"delta": {"role": "assistant", "content": word}, "finish_reason": None})
        await asyncio.sleep(TOKEN_S)
    yield _event({"delta": {}, "finish_reason": "stop"})
    yield "data: [DONE]\n\n"


def _event(choice: dict[str, Any]) -> str:
    chunk = {
        "id": "c", "object": "chat.completion.chunk", "created": 0, "model": MODEL,
        "choices": [{"index": 0, **choice}],
    }  # fmt: skip
    return f"data: {json.dumps(chunk)}\n\n"


def _whole(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c", "object": "chat.completion", "created": 0, "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }  # fmt: skip


def _wav(sound: bytes) -> bytes:
    def four(number: int) -> bytes:
        return number.to_bytes(4, "little")

    form = b"\x01\x00\x01\x00" + four(RATE) + four(2 * RATE) + b"\x02\x00\x10\x00"
    data = b"data" + four(len(sound)) + sound
    body = b"WAVEfmt " + four(16) + form + data
    return b"RIFF" + four(len(body)) + body


if __name__ == "__main__":
    uvicorn.run(app(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
