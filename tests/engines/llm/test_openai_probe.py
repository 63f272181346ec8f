"""Is the OpenAI-compatible server there? What it may answer, and what must not come of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from brain.engines.llm.openai import OpenAIMind, OpenAIOptions, probe
from brain.engines.ports import EngineError, EngineFailed, EngineUnavailable, Message, Ticket
from brain.engines.remote import openai_server
from brain.engines.remote.openai_address import shown
from tests.engines.llm.openai_scripted_server import Answer, ScriptedServer, a_server

DEEP = "[" * 200_000


def run(main: Callable[[ScriptedServer], Awaitable[None]], *answers: Answer, key: str = "") -> None:
    async def whole() -> None:
        async with a_server(*answers, key=key) as server:
            await asyncio.wait_for(main(server), 20)

    asyncio.run(whole())


@asynccontextmanager
async def a_socket(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """What answers with `serve` and then hangs up; yields its OPENAI_URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        writer.close()

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(handle(reader, writer))
        tasks.add(task)
        await asyncio.wait({task})

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def failure_of(options: OpenAIOptions) -> str:
    """The words of a probe that fails as it should."""
    with pytest.raises(EngineUnavailable) as raised:
        await asyncio.wait_for(probe(options), 5)
    return str(raised.value)


def test_it_asks_for_nothing_that_disturbs() -> None:
    async def main(server: ScriptedServer) -> None:
        await probe(OpenAIOptions(server.url))
        assert [line for line, _ in server.heads] == ["HEAD /v1/models HTTP/1.1"]

    run(main)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (200, ""),
        (204, ""),
        # Busy is there; so are servers with no list, or that know no HEAD.
        (429, ""),
        (404, ""),
        (405, ""),
        (501, ""),
        (302, "302"),
        (400, "400"),
        (401, "OPENAI_API_KEY"),
        (403, "OPENAI_API_KEY"),
        (500, "500"),
        (502, "502"),
        (503, "503"),
        (504, "504"),
    ],
)
def test_the_status_tells(status: int, told: str) -> None:
    async def main(server: ScriptedServer) -> None:
        server.status = status
        options = OpenAIOptions(server.url, api_key="sesam")
        if not told:
            await probe(options)
            return
        words = await failure_of(options)
        assert told in words
        assert f"OPENAI_URL={server.url}" in words
        assert "sesam" not in words

    run(main)


def test_it_shows_what_the_mind_shows() -> None:
    """The key, or else a name and password in the address: or the server would refuse it alone."""

    async def main(server: ScriptedServer) -> None:
        addressed = server.url.replace("//", "//robot:s%40cret@")
        for options in (
            OpenAIOptions(server.url, api_key="sesam"),
            OpenAIOptions(server.url),
            OpenAIOptions(addressed),
            OpenAIOptions(addressed, api_key="sesam"),
        ):
            server.heads.clear()
            await (await OpenAIMind.load(options)).close()
            await probe(options)
            of_the_mind, of_the_probe = (head.get("authorization") for _, head in server.heads)
            assert of_the_probe == of_the_mind

    run(main)


@pytest.mark.setting("OPENAI_API_KEY")
def test_a_key_that_is_not_the_servers_any_more_is_told() -> None:
    async def main(server: ScriptedServer) -> None:
        options = OpenAIOptions(server.url, api_key="sesam")
        await probe(options)
        server.key = "other"
        assert "OPENAI_API_KEY" in await failure_of(options)

    run(main, key="sesam")


def test_a_server_that_never_ends_its_header_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte comes in time, and so no limit on the single byte ends it."""
    monkeypatch.setattr(openai_server, "_PROBE_S", 0.2)
    monkeypatch.setattr(openai_server, "_LIST_S", 0.2)
    came = left = 0

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came, left
        came += 1
        writer.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
        # Until the client has gone, which is the end of what it sends.
        gone = asyncio.ensure_future(reader.read())
        while not gone.done():
            writer.write(b"x")
            await asyncio.wait({gone}, timeout=0.02)
        left += 1

    async def main() -> None:
        async with a_socket(drip) as url:
            options = OpenAIOptions(url)
            told = await asyncio.gather(*(failure_of(options) for _ in range(20)))
            assert set(told) == {f"OPENAI_URL={url} didn't answer within 0.2 s."}
            assert threading.active_count() == before
            with pytest.raises(EngineUnavailable, match=r"didn't answer within 0\.2 s"):
                await asyncio.wait_for(OpenAIMind.load(options), 10)
            # And one that somebody else ends ends as well.
            probing = asyncio.ensure_future(probe(options))
            await asyncio.sleep(0)
            probing.cancel()
            await asyncio.wait({probing})
            assert probing.cancelled()
            # (On a busy machine one may give up before it has got through to the server.)
            assert came
            while left < came:  # noqa: ASYNC110 - the server's side of the sockets
                await asyncio.sleep(0.01)

    before = threading.active_count()
    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x16\x03\x01\x00\xff\x1b[31m\x00\x07 nothing of the kind\r\n\r\n",
        b"HTTP/1.1 99999 \x1b]0;owned\x07\r\n\r\n",
        b"HTTP/1.1 2\xe2\x82\x82 OK\r\n\r\n",
        b"x" * 50_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
    ],
    ids=lambda sent: str(sent[:24]),
)
def test_garbage_is_told_in_a_line_that_can_be_read(sent: bytes) -> None:
    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()

    async def main() -> None:
        async with a_socket(say) as url:
            words = await failure_of(OpenAIOptions(url))
            assert words.startswith(f"OPENAI_URL={url} can't be reached (")
            assert len(words) < 500
            assert words.isprintable()

    asyncio.run(main())


def test_garbage_that_the_mind_meets_is_told_so_as_well() -> None:
    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b'{"error": "\\u001b[31m\\ud800\\u202e' + b"x" * 5_000 + b'"}'
        head = f"HTTP/1.1 500 X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        writer.write(head.encode() + b"\r\n\r\n" + body)

    async def main() -> None:
        async with a_socket(say) as url:
            with pytest.raises(EngineUnavailable) as raised:
                await OpenAIMind.load(OpenAIOptions(url))
            assert len(str(raised.value)) < 500
            assert str(raised.value).isprintable()

    asyncio.run(main())


# -- JSON that is too deep for the reader ------------------------------------------------------


@pytest.mark.parametrize("status", [200, 500])
def test_a_list_nested_without_end_is_no_list(status: int) -> None:
    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
            f"content-length: {len(DEEP)}\r\n\r\n{DEEP}".encode()
        )

    async def main() -> None:
        async with a_socket(say) as url:
            with pytest.raises(EngineUnavailable, match=url):
                await OpenAIMind.load(OpenAIOptions(url))

    asyncio.run(main())


def test_a_reply_nested_without_end_is_a_failure() -> None:
    async def main(server: ScriptedServer) -> None:
        mind = await OpenAIMind.load(OpenAIOptions(server.url))
        with pytest.raises(EngineError) as raised:
            async for _ in mind.stream([Message("user", "Hello.")], ticket=Ticket("a")):
                pass
        assert isinstance(raised.value, EngineFailed)
        assert "can't be read" in str(raised.value)
        await mind.close()

    run(main, Answer([f"data: {DEEP}\n\n"]))


def test_nothing_of_an_address_is_shown_that_may_be_a_key() -> None:
    assert shown("https://me:pass@host:1/v1?key=pass#pass") == "https://host:1/v1"
