"""What every HTTP route of the brain refuses in the same way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from brain.app import sessions_of
from brain.dialogue.common import Engines
from brain.engines.loader import EngineSet
from brain.house import house_rules
from brain.settings import Settings
from brain.web import build_app
from tests.planner.test_schema import SEED

PLAN, TTS = ("/plan", json.dumps(SEED)), ("/tts", json.dumps({"text": "Hi."}))
# What says that the request got to its end: there is neither a mind nor a mouth.
SERVED = {"/plan": (502, "llm_unreachable"), "/tts": (503, "tts_unavailable")}

Web = httpx.AsyncClient


def run(main: Callable[[Web], Awaitable[None]]) -> None:
    """`main` with a client of the brain's own application, none of whose engines is loaded."""
    settings = Settings(
        llm_backend="llamacpp", stt_model_size="pocket", tts_backend="off", brain_token="s3cret"
    )

    async def whole() -> None:
        engines = EngineSet(settings)
        parts = Engines(engines.detector, engines.transcriber, engines.mind, engines.mouth)
        sessions = sessions_of(settings, parts, house_rules(settings))
        brain = build_app(settings, engines, sessions, serves=asyncio.Event(), stop=asyncio.Event())
        async with Web(transport=httpx.ASGITransport(brain), base_url="http://brain") as web:
            await main(web)
        await engines.close()

    asyncio.run(whole())


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/docs", "/redoc", "/plan/x", "/%1b"])
def test_what_is_not_there_is_told_as_everything_else(path: str) -> None:
    async def main(web: Web) -> None:
        for method in ("GET", "POST"):
            answer = await web.request(method, path)
            assert answer.status_code == 404
            assert answer.json() == {"error": "not_found", "detail": "there is nothing here"}

    run(main)


def test_a_wrong_method_is_told_as_everything_else() -> None:
    async def main(web: Web) -> None:
        for path, allowed in (("/plan", "POST"), ("/tts", "POST"), ("/health", "GET")):
            for method in ("DELETE", "OPTIONS"):
                answer = await web.request(method, path)
                assert answer.status_code == 405
                assert answer.headers["allow"] == allowed
                assert answer.json() == {
                    "error": "method_not_allowed", "detail": f"use {allowed} here",
                }  # fmt: skip

    run(main)


@pytest.mark.parametrize(("path", "body"), [PLAN, TTS])
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json", "x"])
def test_any_type_will_do_but_not_from_another_web_page(
    path: str, body: str, content_type: str | None
) -> None:
    kind = {"Content-Type": content_type} if content_type else {}

    async def main(web: Web) -> None:
        async def post(**origin: str) -> tuple[int, str]:
            shown = {"Authorization": "Bearer s3cret", **kind, **origin}
            answer = await web.post(path, content=body, headers=shown)
            assert set(answer.json()) == {"error", "detail"}
            return answer.status_code, answer.json()["error"]

        assert await post() == SERVED[path]
        assert await post(Origin="http://brain") == SERVED[path]
        for origin in ("http://elsewhere.example", "http://brain:81", "null", ""):
            assert await post(Origin=origin) == (403, "origin_not_allowed")

    run(main)
