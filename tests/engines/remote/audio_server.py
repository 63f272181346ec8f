"""A server of OpenAI's audio API for tests: the pocket ears and the pocket voice, over HTTP.

No product of anybody's: none can be had here without its models. What it says and hears is real,
and so are its sockets (uvicorn's, on a thread of its own).
"""

from __future__ import annotations

import asyncio
import io
import threading
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from brain.audio.pcm import from_bytes, to_bytes, to_float
from brain.audio.resample import Resampler
from brain.engines.ports import CancelToken, Emotion, EngineError, Synthesizer, Ticket, Transcriber
from brain.engines.recipes import POCKET, whisper_options
from brain.engines.stt.whisper import WhisperTranscriber
from brain.engines.tts.piper import PiperSynthesizer
from brain.settings import Settings

RATE = 24_000
VOICE = "pocket-voice"
EARS = "pocket-ears"


@dataclass
class AudioServer:
    """`asked` keeps what it was asked: the forms of transcriptions and the bodies of speeches.

    `only` are the response formats that it takes (as OpenAI's API names them); `status` is that of
    every answer, where it isn't 200; `odd` sends sound in chunks of odd lengths; `speeds`: it takes
    a pace.
    """

    url: str = ""
    only: frozenset[str] = frozenset({"pcm", "wav", "json", "verbose_json"})
    status: int = 200
    odd: bool = True
    speeds: bool = True
    key: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    broken_off: int = 0

    def refusal(self, request: Request, form: str) -> Response | None:
        if self.status != 200:
            return _refused(self.status, "Not now.")
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return _refused(401, "Incorrect API key provided.")
        if form not in self.only:
            return _refused(400, f"response_format {form!r} is not supported")
        return None


def _refused(status: int, words: str) -> Response:
    return JSONResponse({"error": {"message": words}}, status_code=status)


def _application(server: AudioServer, ears: Transcriber, voice: Synthesizer) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        refusal = server.refusal(request, next(iter(server.only)))
        return refusal or JSONResponse({"data": [{"id": VOICE}, {"id": EARS}]})

    @app.post("/v1/audio/transcriptions")
    async def hear(request: Request) -> Response:
        form = _parts(request.headers["content-type"], await request.body())
        sound = form.pop("file")
        server.asked.append(form)
        asked = form["response_format"]
        if refusal := server.refusal(request, asked):
            return refusal
        with wave.open(io.BytesIO(sound)) as wav:
            assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (16_000, 1, 2)
            samples = to_float(from_bytes(wav.readframes(wav.getnframes())))
        try:
            heard = await _unless_left(server, request, ears, samples, form.get("language"))
        except EngineError as error:
            return _refused(499, str(error))
        answer: dict[str, Any] = {"text": heard.text}
        if asked == "verbose_json":
            one = {"text": heard.text, "no_speech_prob": 0.0, "avg_logprob": 0.0,
                   "compression_ratio": 1.0}  # fmt: skip
            if np.isfinite(heard.avg_logprob):
                one |= {"no_speech_prob": heard.no_speech_prob, "avg_logprob": heard.avg_logprob}
            answer |= {"language": heard.language, "segments": [one] if heard.text else []}
        return JSONResponse(answer)

    @app.post("/v1/audio/speech")
    async def say(request: Request) -> Response:
        body = await request.json()
        server.asked.append(body)
        if refusal := server.refusal(request, body["response_format"]):
            return refusal
        if "speed" in body and not server.speeds:
            return _refused(400, "speed is not supported by this model")
        kind = {"pcm": "audio/pcm", "wav": "audio/wav"}[body["response_format"]]
        return StreamingResponse(_spoken(server, voice, body), media_type=kind)

    return app


async def _unless_left(
    server: AudioServer, request: Request, ears: Transcriber, samples: Any, language: str | None
) -> Any:
    """What is heard; the work ends when the client has gone."""
    token = CancelToken()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        server.broken_off += 1
        token.cancel()

    watching = asyncio.ensure_future(watch())
    try:
        return await ears.transcribe(samples, language=language, ticket=Ticket("a", cancel=token))
    finally:
        watching.cancel()


async def _spoken(
    server: AudioServer, voice: Synthesizer, body: dict[str, Any]
) -> AsyncIterator[bytes]:
    """The pocket voice at 24 kHz; a server that is left has its generator closed."""
    if body["response_format"] == "wav":
        yield _endless_header()
    # (The pocket voice has a pace of its own for a mood: that is what a pace is told by.)
    mood = Emotion("sad") if body.get("speed", 1.0) < 1.0 else None
    resampler = Resampler(22_050, RATE)
    whole = False
    try:
        async with aclosing(
            voice.stream(body["input"], emotion=mood, ticket=Ticket("a"))
        ) as blocks:
            async for block in blocks:
                for piece in _cut(to_bytes(resampler.push(block.samples)), server.odd):
                    yield piece
        yield to_bytes(resampler.flush())
        whole = True
    finally:
        server.broken_off += not whole


def _cut(data: bytes, odd: bool) -> Iterator[bytes]:
    size = 1_333 if odd else len(data) or 1
    yield from (data[at : at + size] for at in range(0, len(data), size))


def _endless_header() -> bytes:
    """As streaming servers send it: the lengths aren't known."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
    header = bytearray(file.getvalue())
    header[4:8] = header[40:44] = b"\xff\xff\xff\xff"
    return bytes(header)


def _parts(content_type: str, body: bytes) -> dict[str, Any]:
    """The fields of a form; of a file its bytes."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    found: dict[str, Any] = {}
    for part in message.iter_parts():  # type: ignore[attr-defined]
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        found[name] = data if part.get_filename() else data.decode()
    return found


@contextmanager
def an_audio_server(**more: Any) -> Iterator[AudioServer]:
    """Ready when it is given out."""
    server, started, stop = AudioServer(**more), threading.Event(), threading.Event()

    async def serve() -> None:
        ears = await WhisperTranscriber.load(whisper_options(Settings(), "pocket"))
        voice = PiperSynthesizer(POCKET / "voice.onnx")
        config = uvicorn.Config(
            _application(server, ears, voice), host="127.0.0.1", port=0, log_config=None,
            lifespan="off", timeout_graceful_shutdown=1,
        )  # fmt: skip
        web = uvicorn.Server(config)
        serving = asyncio.ensure_future(web.serve())
        while not web.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        port = web.servers[0].sockets[0].getsockname()[1]
        server.url = f"http://127.0.0.1:{port}/v1"
        started.set()
        await asyncio.to_thread(stop.wait)
        web.should_exit = True
        await serving
        await ears.close()
        await voice.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="audio server")
    thread.start()
    try:
        assert started.wait(30)
        yield server
    finally:
        stop.set()
        thread.join(10)
