"""The two routes, asked through ASGI."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import httpx
import pytest
from fastapi import FastAPI

from brain.api.health import router
from brain.api.token import Tokens
from brain.engines.ladder import EngineState
from brain.ops.health import Report, health, ready
from brain.settings import Settings


def ask(path: str, health: Callable[[], Report], ready: Callable[[], Report]) -> httpx.Response:
    app = FastAPI()
    app.include_router(router(lambda _: health(), ready, tokens=Tokens()))

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://brain") as client:
            return await client.get(path)

    return anyio.run(get)


def test_status_and_body_are_those_of_the_report_at_that_moment() -> None:
    settings = Settings(llm_backend="llamacpp")
    engines = [EngineState("llm", "llamacpp", loading=True)]

    def of_health() -> Report:
        return health(settings, engines)

    def of_ready() -> Report:
        return ready(settings, engines, version="1")

    before = ask("/health", of_health, of_ready)
    assert before.status_code == 503
    assert before.json()["llm_engine_loaded"] is False
    assert ask("/ready", of_health, of_ready).status_code == 503
    engines[0] = EngineState("llm", "llamacpp", "llamacpp", "pocket")
    after = ask("/health", of_health, of_ready)
    assert after.status_code == 200
    assert after.json()["llm_engine_loaded"] is True
    assert after.headers["cache-control"] == "no-store"
    answer = ask("/ready", of_health, of_ready)
    assert answer.status_code == 200
    assert answer.json()["engines"]["llm"]["model"] == "pocket"


@pytest.mark.parametrize(
    ("shown", "trusted"),
    [({}, False), ({"Authorization": "Bearer no"}, False), ({"Authorization": "Bearer t"}, True)],
)
def test_health_knows_whether_a_token_was_shown(shown: dict[str, str], trusted: bool) -> None:
    app = FastAPI()

    def of_health(told: bool) -> Report:
        return Report(200, {"trusted": told})

    app.include_router(router(of_health, lambda: Report(200, {}), tokens=Tokens(["t"])))

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://brain") as client:
            return await client.get("/health", headers=shown)

    assert anyio.run(get).json() == {"trusted": trusted}
