"""What a client can do to a connection before it is a request: bounded, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from brain.ops import logs
from brain.web import http_server
from tests.certificates import Certificate, a_certificate
from tests.e2e.sockets import a_server

HEAD_S = 0.2


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brain.api.connection.HEAD_S", HEAD_S)
    monkeypatch.setattr("brain.web.HEAD_S", HEAD_S)


def an_app() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def get() -> PlainTextResponse:
        return PlainTextResponse("served")

    @app.get("/slow")
    async def slow() -> PlainTextResponse:
        await asyncio.sleep(2 * HEAD_S)
        return PlainTextResponse("served")

    @app.get("/long")
    async def long() -> PlainTextResponse:
        return PlainTextResponse("x" * 12_000_000)

    @app.post("/")
    async def post(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    return app


class Client:
    """A connection on which anything can be said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> bytes:
        """The next head, and the body by its length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await self.reader.readexactly(length)

    async def to_the_end(self, seconds: float = 5) -> bytes:
        """All that comes until the brain hangs up."""
        got = b""
        with contextlib.suppress(ConnectionError):
            while more := await asyncio.wait_for(self.reader.read(1 << 16), seconds):
                got += more
        return got


@contextlib.asynccontextmanager
async def a_client(address: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    host, port = address.split("//")[1].split("/", maxsplit=1)[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = GET.replace(b"/ ", b"/slow ", 1)
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)


def test_a_head_that_does_not_come_to_its_end_is_not_waited_for() -> None:
    async def main() -> None:
        async with a_server(an_app()) as address:

            async def say(said: bytes) -> None:
                async with a_client(address) as client:
                    client.say(said)
                    assert await client.to_the_end() == b""

            await asyncio.gather(*map(say, (b"", b"\r\n", b"GET / HT", HANDSHAKE)))

    asyncio.run(main())


def test_neither_is_one_that_comes_byte_by_byte() -> None:
    """uvicorn's own timer begins anew with each byte."""

    async def main() -> None:
        async with a_server(an_app()) as address, a_client(address) as client:
            client.say(GET)
            assert (await client.answer()).endswith(b"served")

            async def drip() -> None:
                for byte in GET * 100:
                    client.say(bytes([byte]))
                    await asyncio.sleep(HEAD_S / 10)

            dripping = asyncio.ensure_future(drip())
            began = asyncio.get_running_loop().time()
            assert await client.to_the_end() == b""
            assert asyncio.get_running_loop().time() - began < 2
            dripping.cancel()

    asyncio.run(main())


def test_a_long_answer_and_a_slow_one_take_their_time() -> None:
    async def main() -> None:
        async with a_server(an_app()) as address:
            async with a_client(address) as client:
                client.say(SLOW)
                assert (await client.answer()).endswith(b"served")
            async with a_client(address) as client:
                client.say(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                got = 0
                # 12 MB in half a second, far more than a head may take
                while more := await asyncio.wait_for(client.reader.read(1 << 18), 5):
                    got += len(more)
                    await asyncio.sleep(0.01)
                assert got > 12_000_000

    asyncio.run(main())


def test_several_requests_sent_ahead_are_answered_in_order() -> None:
    async def main() -> None:
        async with a_server(an_app()) as address, a_client(address) as client:
            client.say(SLOW + GET + GET)
            for _ in range(3):
                assert (await client.answer()).endswith(b"served")
            await asyncio.sleep(HEAD_S / 2)
            client.say(GET)
            assert (await client.answer()).endswith(b"served")

    asyncio.run(main())


MUCH = b"a" * 10_000_000
LONG_HEADS = {
    "one header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + MUCH,
    "url": b"GET /" + MUCH,
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000_000,
    "handshake": HANDSHAKE + b"X: " + MUCH,
    "behind a request that is being answered": SLOW + b"GET / HTTP/1.1\r\nX: " + MUCH,
    "trailers": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + MUCH,
}


def test_ten_megabytes_of_head_are_not_taken() -> None:
    async def main() -> None:
        async with a_server(an_app()) as address:
            for name, head in LONG_HEADS.items():
                async with a_client(address) as client:
                    for start in range(0, len(head), 1 << 16):
                        client.say(head[start : start + (1 << 16)])
                        with contextlib.suppress(ConnectionError):
                            await client.writer.drain()
                        if client.writer.is_closing():
                            break
                    else:
                        pytest.fail(f"{name}: all of it was taken")

    asyncio.run(main())


def test_a_head_that_is_too_long_is_told_so() -> None:
    async def main() -> None:
        async with a_server(an_app()) as address, a_client(address) as client:
            client.say(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(10):
                client.say(b"a" * 8_192)
                await asyncio.sleep(0.01)
            answer = await client.answer()
            assert answer.startswith(b"HTTP/1.1 431 ")
            assert b"at most 64 KiB" in answer

    asyncio.run(main())


def test_a_body_of_a_reasonable_size_is_not_cut() -> None:
    async def main() -> None:
        async with a_server(an_app()) as address, a_client(address) as client:
            for _ in range(3):
                client.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
                client.say(b"a" * 900_000)
                assert (await client.answer()).endswith(b"900000")

    asyncio.run(main())


@pytest.mark.parametrize("with_tls", [False, True], ids=["plain", "tls"])
def test_one_address_cannot_hold_all_connections(
    tmp_path: Path, with_tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is counted from the moment at which it is accepted, and until it is gone."""
    for name in ("brain.api.connection.HEAD_S", "brain.web.HEAD_S"):
        monkeypatch.setattr(name, 30)
    tls = server_tls(a_certificate(tmp_path)) if with_tls else None

    async def main() -> None:
        async with a_server(an_app(), tls=tls, per_address=5) as address:
            for _ in range(2):
                async with contextlib.AsyncExitStack() as stack:
                    held = [await stack.enter_async_context(a_client(address)) for _ in range(5)]
                    await asyncio.sleep(0.02)
                    async with a_client(address) as one_too_many:
                        assert await one_too_many.to_the_end() == b""
                    assert not any(client.reader.at_eof() for client in held)
                await asyncio.sleep(0.1)
            for _ in range(6):  # these, the brain closes
                async with a_client(address, trusting(tmp_path) if tls else None) as client:
                    client.say(GET.replace(b"x\r", b"x\r\nConnection: close\r"))
                    assert (await client.to_the_end()).endswith(b"served")

    asyncio.run(main())


def server_tls(made: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert, made.key)
    return context


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "brain.crt"))


def test_a_tls_handshake_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    context = server_tls(a_certificate(tmp_path))

    async def main() -> None:
        async with a_server(an_app(), tls=context) as address:
            for said in (b"", b"\x16\x03\x01", GET):
                async with a_client(address) as client:
                    client.say(said)
                    assert b"served" not in await client.to_the_end()
            async with a_client(address, trusting(tmp_path)) as client:
                client.say(GET)
                assert (await client.answer()).endswith(b"served")
                assert await client.to_the_end() == b"", "what comes then is waited for no longer"

    asyncio.run(main())


def test_the_server_goes_down_with_half_open_connections() -> None:
    async def main() -> None:
        async with a_server(an_app()) as address:
            reader, writer = await asyncio.open_connection(*address.split("//")[1].split(":"))
            writer.write(b"GET / HT")
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()

    asyncio.run(main())
    assert http_server(an_app()).config.ssl is None


@pytest.mark.parametrize("said", [b"Forwarded: for=10.9.8.7", b"X-Forwarded-For: 10.9.8.7"])
def test_an_address_is_the_one_that_a_connection_comes_from(said: bytes) -> None:
    """Not the one that it names: it would have the pace of as many as it cares to name."""
    app = FastAPI()

    @app.get("/")
    async def get(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.url.scheme} {request.client and request.client.host}")

    async def main() -> None:
        async with a_server(app) as address, a_client(address) as client:
            more = b"x\r\n" + said + b"\r\nX-Forwarded-Proto: https\r\n"
            client.say(GET.replace(b"x\r\n", more, 1))
            assert (await client.answer()).endswith(b"\r\n\r\nhttp 127.0.0.1")

    asyncio.run(main())


def test_what_anybody_may_send_for_ever_fills_no_log() -> None:
    upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

    async def main() -> None:
        async with a_server(an_app()) as address:
            for said in (b"\x16\x03\x01 no HTTP\r\n\r\n", GET.replace(b"\r\n\r\n", upgrade)):
                async with a_client(address) as client:
                    client.say(said)
                    await client.answer()

    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("info", stream=stream)
        asyncio.run(main())
    finally:
        root.handlers[:], root.level = handlers, level
        logging.captureWarnings(False)
    assert stream.getvalue() == ""
