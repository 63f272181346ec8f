"""Before every route: which web pages are let in, how often one may ask, which token opens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from brain.api.gate import Gate
from brain.api.origins import Origins
from brain.api.pace import Pace
from brain.api.token import Tokens

# -- tokens ------------------------------------------------------------------------------------


def connection(query: bytes = b"", authorization: bytes | None = None) -> HTTPConnection:
    headers = [] if authorization is None else [(b"authorization", authorization)]
    return HTTPConnection({"type": "http", "query_string": query, "headers": headers})


@pytest.mark.parametrize(
    ("query", "authorization", "opens"),
    [
        (b"", b"Bearer new", True),
        (b"", b"bEARER   old ", True),
        (b"token=new", None, True),
        (b"token=%6eew", None, True),
        (b"", None, False),
        (b"", b"Bearer", False),
        (b"", b"Basic new", False),
        (b"token=", None, False),
        (b"token=newest", None, False),
        (b"token=new&token=wrong", None, False),
        (b"token=new", b"Bearer wrong", False),
        (b"token=%ff%00", b"Bearer \xff\xfe", False),
        (b"token=\xed\xa0\x80", None, False),
    ],
)
def test_any_of_the_tokens_opens(query: bytes, authorization: bytes | None, opens: bool) -> None:
    tokens = Tokens(["new", "old"])
    assert tokens.shown_by(connection(query, authorization)) == opens
    assert Tokens().shown_by(connection(query, authorization))
    assert not Tokens(locked=True).shown_by(connection(query, authorization))


# -- origins -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://192.168.1.20:8100", "192.168.1.20:8100", True),
        ("http://192.168.1.20", "192.168.1.20:80", True),
        ("https://192.168.1.20", "192.168.1.20:443", True),
        ("https://192.168.1.20:443", "192.168.1.20", True),
        ("http://[fe80::1]:8100", "[FE80::1]:8100", True),
        ("http://Jetson.local:8100", "jetson.local:8100", True),
        ("http://jetson:8100", "jetson:8100", True),
        ("http://localhost:8100", "localhost:8100", True),
        (f"http://{socket.gethostname()}:1", f"{socket.gethostname()}:1", True),
        ("http://192.168.1.20:3000", "192.168.1.20:8100", False),
        ("http://192.168.1.2", "192.168.1.20", False),
        ("https://192.168.1.20", "192.168.1.20:80", False),
        # A page of the internet whose server says that its address is the brain's.
        ("http://evil.example:8100", "evil.example:8100", False),
        ("http://192.168.1.20.evil.example", "192.168.1.20.evil.example", False),
        ("http://jetson.local.evil.example", "jetson.local.evil.example", False),
        ("http://evil.example", "192.168.1.20", False),
        ("null", "null", False),
        ("", "", False),
        ("http://", "", False),
        ("file://192.168.1.20", "192.168.1.20", False),
        ("chrome-extension://abc", "abc", False),
        ("http://[", "[", False),
        ("http://[::1", "[::1", False),
        ("http://a@jetson", "jetson", False),
    ],
)
def test_the_brains_own_pages_and_no_others(origin: str, host: str, own: bool) -> None:
    assert Origins().allow(origin, host) == own
    assert Origins.of("*").allow(origin, host)
    if origin:
        assert Origins.of(f"http://other, {origin}").allow(origin, "elsewhere")


@settings(max_examples=40, deadline=None)
@given(st.text(), st.text())
def test_no_origin_breaks_the_comparison(origin: str, host: str) -> None:
    Origins.of("http://a:1").allow(origin, host)
    Origins().allow(f"http://{host}", host)


# -- pace --------------------------------------------------------------------------------------


def test_twice_as_many_at_once_and_so_many_over_a_while() -> None:
    now = 0.0
    pace = Pace(10, lambda: now)
    assert [pace.wait_s("a") for _ in range(20)] == [0.0] * 20
    assert pace.wait_s("a") == pytest.approx(0.1)
    assert pace.wait_s("b") == 0, "another address has its own"
    served = 0
    for _ in range(1000):  # 10 s of 100 a second
        now += 0.01
        served += pace.wait_s("a") == 0
    assert served == pytest.approx(100, abs=1)
    now += 3600
    assert sum(pace.wait_s("a") == 0 for _ in range(100)) == 20


def test_a_fraction_of_a_request_and_no_limit() -> None:
    now = 0.0
    slow = Pace(0.2, lambda: now)
    assert slow.wait_s("a") == 0
    assert slow.wait_s("a") == pytest.approx(5)
    assert Pace.whole_seconds(4.2) == 5
    now = 5.0
    assert slow.wait_s("a") == 0
    assert all(Pace(0, lambda: 0.0).wait_s("a") == 0 for _ in range(10_000))


def test_no_number_of_addresses_fills_the_memory() -> None:
    pace = Pace(1, lambda: 0.0)
    for number in range(10_000):
        pace.wait_s(f"address {number}")
    assert len(pace._left) <= 4096


# -- the gate ----------------------------------------------------------------------------------

Web = httpx.AsyncClient


def behind_a_gate(
    main: Callable[[Web], Awaitable[None]], origins: str = "", requests_per_s: float = 0
) -> None:
    app = FastAPI()

    @app.get("/")
    async def get() -> str:
        return "served"

    gate = Gate(app, origins=Origins.of(origins), requests_per_s=requests_per_s, clock=lambda: 0.0)

    async def whole() -> None:
        async with Web(transport=httpx.ASGITransport(gate), base_url="http://10.0.0.1") as web:
            await main(web)

    asyncio.run(whole())


def test_a_request_is_refused_in_the_usual_form() -> None:
    async def main(web: Web) -> None:
        assert (await web.get("/")).json() == "served"
        for origin in ("http://evil.example", "null", ""):
            refused = await web.get("/", headers={"Origin": origin})
            assert refused.status_code == 403
            assert refused.json()["error"] == "origin_not_allowed"
        # Two of them: no browser does that.
        both = [("Origin", "http://10.0.0.1"), ("Origin", "http://evil.example")]
        assert (await web.get("/", headers=both)).status_code == 403

    behind_a_gate(main)


def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    async def main(web: Web) -> None:
        answers = [await web.get("/") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
        assert answers[-1].json()["error"] == "too_many_requests"
        assert answers[-1].headers["retry-after"] == "1"

    behind_a_gate(main, requests_per_s=2)


def test_a_socket_is_refused_before_it_is_one() -> None:
    async def never(websocket: WebSocket) -> None:
        raise AssertionError("it got through")

    app = FastAPI()
    app.add_api_websocket_route("/ws", never)
    gate = Gate(app, origins=Origins(), requests_per_s=0, clock=lambda: 0.0)

    async def main(extensions: dict[str, object]) -> list[dict[str, object]]:
        sent: list[dict[str, object]] = []
        scope = {
            "type": "websocket", "path": "/ws", "query_string": b"", "client": ("10.0.0.2", 1),
            "headers": [(b"host", b"10.0.0.1"), (b"origin", b"http://evil.example")],
            "extensions": extensions,
        }  # fmt: skip

        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        async def send(message: object) -> None:
            assert isinstance(message, dict)
            sent.append(message)

        await gate(scope, receive, send)
        return sent

    start, body = asyncio.run(main({"websocket.http.response": {}}))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)
    assert b"origin_not_allowed" in body["body"]  # type: ignore[operator]
