"""`POST /tts` over a real socket, in front of scripted mouths: what is asked, told, and let go."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from brain.api import tts
from brain.api.token import Tokens
from brain.audio.pcm import Audio
from brain.engines.ports import (
    Emotion,
    EngineBusy,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    Synthesizer,
    Ticket,
)
from brain.persona.moods import EMOTION_ALIASES, EMOTIONS
from tests.e2e.sockets import a_server
from tests.scripted_engines import Hang, ScriptedMouth

NAMES = {name: name for name in EMOTIONS} | EMOTION_ALIASES
PCM = {
    "content-type": "application/octet-stream",
    "x-audio-sample-rate": "16000",
    "x-audio-channels": "1",
}


def quick(**how: Any) -> ScriptedMouth:
    return ScriptedMouth(**{"delay": 0.0, "seconds_per_char": 0.02, **how})


def run(
    main: Callable[[httpx.AsyncClient], Awaitable[None]],
    mouth: Synthesizer | None,
    *,
    token: str = "",
) -> None:
    async def whole() -> None:
        app = FastAPI()
        app.include_router(tts.router(mouth, emotions=NAMES, tokens=Tokens([token])))
        limits = httpx.Limits(max_connections=None)
        async with (
            a_server(app) as address,
            httpx.AsyncClient(base_url=address, timeout=20, limits=limits, trust_env=False) as web,
        ):
            await main(web)

    asyncio.run(whole())


async def until(true: Callable[[], bool]) -> None:
    """Return when it is; for what happens on the server's side of the socket."""

    async def look() -> None:
        while not true():  # noqa: ASYNC110 - the state of a scripted engine has no event
            await asyncio.sleep(0.001)

    await asyncio.wait_for(look(), 10)


class Breaking(ScriptedMouth):
    """Says a block, then fails."""

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        yield Audio(np.full(1600, 1000, np.int16), 16_000)
        raise EngineFailed("it broke")


class Gated(ScriptedMouth):
    """Says a block, and the next one when `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.ended = False

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        block = Audio(np.full(1600, 1000, np.int16), 16_000)
        yield block
        await self.go.wait()
        yield block
        self.ended = True


# -- sound ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000])
def test_pcm_at_sixteen_kilohertz(rate: int) -> None:
    async def main(web: httpx.AsyncClient) -> None:
        for stream in (True, False):
            answer = await web.post("/tts", json={"text": "Hello there.", "stream": stream})
            assert answer.status_code == 200
            assert {name: answer.headers[name] for name in PCM} == PCM
            assert ("content-length" in answer.headers) is not stream
            sound = np.frombuffer(answer.content, "<i2")
            assert len(sound) / 16_000 == pytest.approx(12 * 0.02, abs=0.003)
            # The scripted tone, by its zero crossings, so that a wrong rate would show.
            middle = sound[800:-800]
            crossings = np.count_nonzero(np.diff(np.signbit(middle)))
            assert crossings / 2 / (len(middle) / 16_000) == pytest.approx(220, rel=0.05)

    run(main, quick(sample_rate=rate))


@pytest.mark.parametrize("stream", [True, False])
def test_a_wav_file_for_who_asks_for_it(stream: bool) -> None:
    async def main(web: httpx.AsyncClient) -> None:
        asked = {"text": "Hello there.", "stream": stream}
        raw = await web.post("/tts", json=asked)
        answer = await web.post("/tts", json=asked, headers={"Accept": "audio/wav"})
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["x-audio-sample-rate"] == "16000"
        with wave.open(io.BytesIO(answer.content)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
            assert file.readframes(1 << 20) == raw.content
            if not stream:
                assert file.getnframes() == len(raw.content) // 2
        sizes = answer.content[4:8], answer.content[40:44]
        if stream:  # nobody knows yet
            assert sizes == (b"\xff" * 4, b"\xff" * 4)
        else:
            body = len(answer.content)
            assert [int.from_bytes(size, "little") for size in sizes] == [body - 8, body - 44]

    run(main, quick())


@pytest.mark.parametrize(
    ("accept", "wav"),
    [
        ("", False), ("*/*", False), ("application/json", False), ("audio/wav", True),
        ("Audio/X-WAV", True), ("audio/*", True), ("audio/wav;q=0", False),
        ("audio/wav, */*;q=0.1", True), ("application/octet-stream, audio/wav;q=0.5", False),
        ("application/octet-stream;q=0.5, audio/wav", True), ("audio/wav;q=nonsense", False),
    ],
)  # fmt: skip
def test_what_accept_asks_for(accept: str, wav: bool) -> None:
    assert tts.wants_wav(accept) is wav


def test_sound_comes_as_it_is_made() -> None:
    mouth = Gated()

    async def main(web: httpx.AsyncClient) -> None:
        async with web.stream("POST", "/tts", json={"text": "Hello."}) as answer:
            chunks = answer.aiter_bytes()
            first = await anext(chunks)
            assert len(first) == 3200
            assert not mouth.ended
            mouth.go.set()
            assert sum([len(chunk) async for chunk in chunks]) == 3200

    run(main, mouth)


def test_nothing_to_say_is_a_short_silence() -> None:
    async def main(web: httpx.AsyncClient) -> None:
        for text in ("...", "?!", "🙂", "—"):
            answer = await web.post("/tts", json={"text": text})
            assert answer.status_code == 200
            assert answer.content == bytes(6_400)

    run(main, quick())


def test_what_the_engine_is_told() -> None:
    mouth = quick()

    async def main(web: httpx.AsyncClient) -> None:
        for fields in (
            {},
            {"emotion": "happy", "intensity": 1.0},
            {"emotion": "Tired", "voice": "other"},
            {"emotion": "purple", "intensity": 0},
            {"emotion": None, "voice": None, "robot_id": None, "seq": None},
            {"robot_id": "r1", "seq": 3, "monotonic_ts_ms": 5, "of_a_later_version": {}},
        ):
            assert (await web.post("/tts", json={"text": "Hi.", **fields})).status_code == 200

    run(main, mouth)
    assert mouth.said == [
        ("Hi.", None, Emotion("neutral", 0.5)),
        ("Hi.", None, Emotion("happy", 1.0)),
        ("Hi.", "other", Emotion("sleepy", 0.5)),
        ("Hi.", None, Emotion("neutral", 0.0)),
        ("Hi.", None, Emotion("neutral", 0.5)),
        ("Hi.", None, Emotion("neutral", 0.5)),
    ]


# -- refusals ------------------------------------------------------------------------------------


def test_empty_text() -> None:
    async def main(web: httpx.AsyncClient) -> None:
        for text in ("", "  ", "\n\t"):
            answer = await web.post("/tts", json={"text": text})
            assert answer.status_code == 400
            assert answer.json() == {"error": "empty_text", "detail": "empty text"}

    run(main, quick())


WRONG: list[tuple[Any, str]] = [
    ({}, "text: "),
    ({"text": 5}, "text: "),
    ({"text": None}, "text: "),
    ({"text": "x" * 4001}, "text: "),
    ({"text": "Hi.", "emotion": 3}, "emotion: "),
    ({"text": "Hi.", "intensity": 1.5}, "intensity: "),
    ({"text": "Hi.", "intensity": "much"}, "intensity: "),
    ({"text": "Hi.", "stream": "perhaps"}, "stream: "),
    ({"text": "Hi.", "robot_id": "x" * 65}, "robot_id: "),
    ({"text": "Hi.", "seq": -1}, "seq: "),
    ({"text": "Hi.", "monotonic_ts_ms": 1.5}, "monotonic_ts_ms: "),
    ([], "body: "),
    (b"not JSON", "body: "),
    (b'{"text": "a\\ud800"}', "body: "),
    (b"\xff\xfe", "body: "),
    (b"", "body: "),
]


def test_what_does_not_fit_is_named() -> None:
    mouth = quick()

    async def main(web: httpx.AsyncClient) -> None:
        for body, named in WRONG:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            answer = await web.post("/tts", content=content)
            assert answer.status_code == 422, body
            assert answer.json()["error"] == "invalid_request"
            assert answer.json()["detail"].startswith(named)

    run(main, mouth)
    assert mouth.said == []


def test_the_longest_text_is_spoken_and_a_far_longer_body_not_even_read() -> None:
    async def main(web: httpx.AsyncClient) -> None:
        longest = json.dumps({"text": "\U0001f642" * 3999 + "x"})
        assert len(longest) > 47_000
        assert (await web.post("/tts", content=longest)).status_code == 200
        answer = await web.post("/tts", content=b" " * 70_000)
        assert answer.status_code == 413
        assert answer.json()["error"] == "request_too_large"
        assert (await web.post("/tts", json={"text": "Hi."})).status_code == 200

    run(main, quick(seconds_per_char=0.0001))


def test_the_token() -> None:
    async def main(web: httpx.AsyncClient) -> None:
        for query, shown in (("", ""), ("", "Bearer wrong"), ("?token=wrong", "")):
            headers = {"Authorization": shown} if shown else {}
            answer = await web.post(f"/tts{query}", json={"text": "Hi."}, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"] == "unauthorized"
        bearer = {"Authorization": "Bearer s3cret"}
        assert (await web.post("/tts", json={"text": "Hi."}, headers=bearer)).status_code == 200
        assert (await web.post("/tts?token=s3cret", json={"text": "Hi."})).status_code == 200

    run(main, quick(), token="s3cret")


def test_no_sound_is_said_before_the_status() -> None:
    errors = {
        EngineBusy("full"): "tts_busy_no_fallback",
        EngineUnavailable("gone"): "tts_unavailable",
        EngineFailed("broken"): "tts_unavailable",
        EngineTimeout("late"): "tts_unavailable",
    }

    async def main(web: httpx.AsyncClient) -> None:
        for stream in (True, False):
            for detail in errors.values():
                answer = await web.post("/tts", json={"text": "Hi.", "stream": stream})
                assert answer.status_code == 503
                assert answer.json() == {"error": detail, "detail": detail}
                busy = detail == "tts_busy_no_fallback"
                assert answer.headers.get("retry-after") == ("1" if busy else None)

    run(main, quick(failures=list(errors)))


def test_text_only() -> None:
    async def main(web: httpx.AsyncClient) -> None:
        answer = await web.post("/tts", json={"text": "Hi."})
        assert (answer.status_code, answer.json()["detail"]) == (503, "tts_unavailable")
        assert "retry-after" not in answer.headers
        assert (await web.post("/tts", json={"text": " "})).status_code == 400

    run(main, None)


# -- what breaks off -----------------------------------------------------------------------------


def test_an_engine_that_breaks_breaks_the_connection() -> None:
    """A clean end would pass for the whole of it."""

    async def main(web: httpx.AsyncClient) -> None:
        got = bytearray()

        async def listen() -> None:
            async with web.stream("POST", "/tts", json={"text": "Hello."}) as answer:
                assert answer.status_code == 200
                async for chunk in answer.aiter_bytes():
                    got.extend(chunk)

        with pytest.raises(httpx.RemoteProtocolError):
            await listen()
        assert len(got) == 3200
        whole = await web.post("/tts", json={"text": "Hello.", "stream": False})
        assert (whole.status_code, whole.json()["detail"]) == (503, "tts_unavailable")

    run(main, Breaking())


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_before_the_sound_frees_the_engine(stream: bool) -> None:
    mouth = quick(failures=[Hang(), None])

    async def main(web: httpx.AsyncClient) -> None:
        asked = {"text": "Hello.", "stream": stream}
        asking = asyncio.ensure_future(web.post("/tts", json=asked))
        await until(lambda: mouth.active == 1)
        asking.cancel()
        await until(lambda: mouth.active == 0)
        assert (await web.post("/tts", json=asked)).status_code == 200

    run(main, mouth)


def test_a_client_that_leaves_amid_the_sound_frees_the_engine() -> None:
    mouth = quick(block_delay=0.01, seconds_per_char=10.0)

    async def main(web: httpx.AsyncClient) -> None:
        async with web.stream("POST", "/tts", json={"text": "Hello."}) as answer:
            await anext(answer.aiter_bytes())
            assert mouth.active == 1
        await until(lambda: mouth.active == 0)

    run(main, mouth)


def test_sound_that_waits_in_memory_is_bounded() -> None:
    mouth = quick(failures=[Hang()] * 10 + [None], seconds_per_char=0.001)

    async def main(web: httpx.AsyncClient) -> None:
        long = {"text": "x" * 4000}
        held = [asyncio.ensure_future(web.post("/tts", json=long)) for _ in range(10)]
        await until(lambda: mouth.active == 10)
        answer = await web.post("/tts", json={"text": "Hi."})
        assert (answer.status_code, answer.json()["detail"]) == (503, "tts_busy_no_fallback")
        held[0].cancel()
        await until(lambda: mouth.active == 9)
        assert (await web.post("/tts", json={"text": "Hi."})).status_code == 200
        for request in held:
            request.cancel()
        await until(lambda: mouth.active == 0)

    run(main, mouth)
