"""`GET /sessions`, asked through ASGI: who may know which robots there are."""

from __future__ import annotations

import anyio
import httpx
from fastapi import FastAPI

from brain.api.sessions import router
from brain.api.token import Tokens


def test_robots_are_told_to_who_shows_the_token() -> None:
    app = FastAPI()
    app.include_router(router(lambda: {"r1": {"seconds": 1.5}}, tokens=Tokens(["secret"])))

    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://brain") as client:
            bearer = {"Authorization": "Bearer secret"}
            return [await client.get("/sessions", headers=headers) for headers in ({}, bearer)]

    refused, told = anyio.run(main)
    assert refused.status_code == 401
    assert "r1" not in refused.text
    assert told.json() == {"robots": {"r1": {"seconds": 1.5}}}
    assert told.headers["cache-control"] == "no-store"
