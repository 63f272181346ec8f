"""What the world does to a connection, and how it comes back; only the waiting is shortened."""

from __future__ import annotations

import asyncio
import http
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from client_tests.broken import (
    SECOND,
    Clock,
    Sleeps,
    crashes,
    first,
    goes_when_told,
    greets,
    nowhere,
    until,
)
from client_tests.scripted import Visit, scripted
from robot_client import link, requests
from robot_client.connection import Connection, Disconnected, Stopped
from robot_client.messages import Ready
from robot_client.reconnect import Backoff

# -- when to come back -------------------------------------------------------------------------


def test_a_brain_that_crashes_after_each_start_is_not_hammered(run: Any) -> None:
    sleeps = Sleeps()
    slowest = Backoff(rng=random.Random(3), first_s=1.0, limit_s=8.0)

    async def main() -> None:
        async with (
            scripted(crashes) as brain,
            Connection(brain.url, sleep=sleeps, backoff=slowest, clock=Clock()) as connection,
        ):
            readies = 0
            async for arrival in connection.events():
                readies += isinstance(arrival.event, Ready)
                if len(sleeps.asked) == 6:
                    break
            assert readies >= 5

    run(main())
    grown = [1, 2, 4, 8, 8, 8]
    assert all(full / 2 <= asked <= full for full, asked in zip(grown, sleeps.asked, strict=True))


@pytest.mark.parametrize(("lasted_s", "begins_anew"), [(4.9, False), (5.0, True)])
def test_only_a_connection_that_lasted_makes_the_next_delay_short(
    run: Any, lasted_s: float, begins_anew: bool
) -> None:
    sleeps, clock = Sleeps(), Clock()
    backoff = Backoff(first_s=1.0, limit_s=8.0, rng=random.Random(1), failures=3)

    async def main() -> None:
        async with (
            scripted(goes_when_told, greets) as brain,
            Connection(brain.url, sleep=sleeps, backoff=backoff, clock=clock) as connection,
        ):
            await first(connection, Ready)
            clock.now += lasted_s
            connection.send(requests.say("bye"))
            await first(connection, Ready)

    run(main())
    (asked,) = sleeps.asked
    assert asked <= 1 if begins_anew else 4 <= asked <= 8


@pytest.mark.parametrize("code", [4001, 4400, 4401])
def test_a_stop_has_its_code(run: Any, code: int) -> None:
    async def refuses(visit: Visit) -> None:
        await visit.socket.close(code, "so")

    async def main() -> Stopped:
        async with scripted(refuses) as brain, Connection(brain.url) as connection:
            return await first(connection, Stopped)

    assert run(main()).code == code


@asynccontextmanager
async def a_door(status: int, **headers: str) -> AsyncIterator[str]:
    """A proxy that answers the first request with this status, and lets the others through."""
    refused: list[Request] = []

    def refuse(socket: ServerConnection, request: Request) -> Response | None:
        if refused:
            return None
        refused.append(request)
        response = socket.respond(http.HTTPStatus(status), "no\n")
        for name, value in headers.items():
            response.headers[name.replace("_", "-")] = value
        return response

    async def talk(socket: ServerConnection) -> None:
        await greets(Visit(socket, "/ws"))

    async with serve(talk, "127.0.0.1", 0, process_request=refuse) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_refused_at_the_door_is_a_token_refused(run: Any, status: int) -> None:
    async def main() -> Stopped:
        async with a_door(status) as url, Connection(url, token="wrong") as connection:
            return await first(connection, Stopped)

    stopped = run(main())
    assert stopped.code == 4401
    assert "token" in stopped.reason
    assert str(status) in stopped.reason


@pytest.mark.parametrize(
    ("status", "after", "least"), [(503, "7", 7), (429, "3", 3), (502, "", 0), (404, "", 0)]
)
def test_a_door_that_is_shut_for_now_is_tried_again(
    run: Any, status: int, after: str, least: float
) -> None:
    sleeps = Sleeps()

    async def main() -> str:
        async with (
            a_door(status, **({"Retry_After": after} if after else {})) as url,
            Connection(url, sleep=sleeps) as connection,
        ):
            lost = await first(connection, Disconnected)
            await first(connection, Ready)
            return str(lost.reason)

    assert str(status) in run(main())
    (asked,) = sleeps.asked
    assert least <= asked <= max(1.1 * least, 0.25)


# -- where the brain is ------------------------------------------------------------------------


def test_the_address_is_asked_for_anew_each_time(run: Any) -> None:
    async def main() -> None:
        async with scripted(goes_when_told) as old, scripted(greets) as new:
            answers: list[str | OSError] = [OSError("nobody answers to robo.local"), old.url]
            answers += [OSError(), new.url]

            async def where() -> str:
                answer = answers.pop(0)
                if isinstance(answer, OSError):
                    raise answer
                return answer

            async with Connection(where, sleep=Sleeps()) as connection:
                lost = await first(connection, Disconnected)
                assert lost.reason == "nobody answers to robo.local"
                await first(connection, Ready)
                connection.send(requests.say("bye"))
                assert "going down" in (await first(connection, Disconnected)).reason
                assert "OSError" in (await first(connection, Disconnected)).reason
                await first(connection, Ready)
                assert connection.sockets == 2
            assert (len(old.visits), len(new.visits)) == (1, 1)

    run(main())


def test_a_search_that_never_ends_is_ended(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LOCATE_S", 0.05)
    ended: list[bool] = []

    async def where() -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)
        raise AssertionError

    async def main() -> None:
        async with Connection(where, sleep=Sleeps()) as connection:
            for _ in range(2):
                assert "wasn't found" in (await first(connection, Disconnected)).reason
        assert len(ended) >= 2

    run(main())


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:1/ws", f"ws://{'a' * 64}.local/ws"])
def test_what_is_no_address_needs_a_person(run: Any, url: str) -> None:
    async def main() -> Stopped:
        async with Connection(url) as connection:
            return await first(connection, Stopped)

    stopped = run(main())
    assert stopped.code is None
    assert url in stopped.reason


def test_an_address_that_leads_nowhere_does_not_hide_the_next(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with scripted(greets) as brain, nowhere("127.0.0.2", brain.port):
            loop = asyncio.get_running_loop()

            async def both(host: str, port: int, **kw: Any) -> list[Any]:
                kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
                return [(*kind, (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

            monkeypatch.setattr(loop, "getaddrinfo", both)
            async with Connection(f"ws://robo.local:{brain.port}/ws") as connection:
                # Without the second address at its side the first would take all of OPEN_S.
                async for arrival in connection.events():
                    assert isinstance(arrival.event, Ready)
                    break

    run(main())


# -- sound that waits --------------------------------------------------------------------------


def test_what_was_said_long_ago_is_not_said_again(run: Any) -> None:
    clock = Clock()

    async def hears(visit: Visit) -> None:
        await visit.ready()
        while len(visit.sound) < 2_000:
            await visit.receive()
        await visit.send("transcript_user", text="ok", turn=1)
        await visit.until_gone()

    async def main() -> None:
        where: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def located() -> str:
            return await where

        async with scripted(hears) as brain, Connection(located, clock=clock) as connection:
            connection.send_audio(b"\x01\x00" * 500)  # then the microphone was off for a minute
            clock.now += 60
            connection.send_audio(b"\x02\x00" * 500)
            clock.now += 1.9
            connection.send_audio(b"\x03\x00" * 500)
            where.set_result(brain.url)
            await first(connection, Ready)
            await until(lambda: len(brain.visits[0].sound) >= 2_000)
            assert bytes(brain.visits[0].sound) == b"\x02\x00" * 500 + b"\x03\x00" * 500
            assert connection.shed_samples == 500

    run(main())


def test_a_stalled_link_sheds_sound_and_never_control(run: Any) -> None:
    seconds = 60
    stalled = asyncio.Event()

    async def stands_still(visit: Visit) -> None:
        await visit.ready()
        await visit.until("say")
        visit.socket.transport.pause_reading()
        await stalled.wait()
        visit.socket.transport.resume_reading()
        await visit.until("clear")
        await visit.send("session_updated")
        await visit.until_gone()

    async def main() -> None:
        async with scripted(stands_still) as brain, Connection(brain.url) as connection:
            await first(connection, Ready)
            connection.send(requests.say("hold on"))
            await asyncio.sleep(0.05)
            for number in range(seconds):
                for _ in range(50):
                    connection.send_audio(number.to_bytes(2, "little") * 320)
                    await asyncio.sleep(0)
                assert connection.send(requests.text(str(number)))
            connection.send(requests.clear())
            stalled.set()
            visit = brain.visits[0]
            await until(lambda: visit.messages[-1]["type"] == "clear")
            said = [int(m["text"]) for m in visit.messages if m["type"] == "text"]
            assert said == list(range(seconds))
            assert connection.shed_samples * 2 + len(visit.sound) == seconds * SECOND
            assert connection.shed_samples > 0.5 * seconds * SECOND / 2
            assert bytes(visit.sound[-SECOND:]) == (seconds - 1).to_bytes(2, "little") * 16_000

    run(main())


# -- who else may answer ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\n\r\n", "elsewhere"),
        (b"HTTP/1.1 301 Moved\r\nLocation: ws://[::1/\r\n\r\n", "Invalid IPv6"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /ws\r\n\r\n", "redirects"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "HTTP 200"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is it one with TLS (wss://), or another program?"),
        (b"", "another program?"),
    ],
)
def test_another_program_in_the_brains_place_is_no_end(run: Any, answer: bytes, why: str) -> None:
    """A hotel's portal sends whatever is asked for to its own page, until somebody has paid."""

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answers, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Connection(f"ws://127.0.0.1:{port}/ws", sleep=Sleeps()) as connection:
            tries = 0
            async for arrival in connection.events():
                assert isinstance(arrival.event, Disconnected)
                assert why in arrival.event.reason
                if (tries := tries + 1) == 3:
                    break

    run(main())


def test_tls_where_there_is_none_is_said(run: Any) -> None:
    async def main() -> None:
        async with scripted(greets) as brain:
            url = brain.url.replace("ws:", "wss:")
            async with Connection(url, sleep=Sleeps()) as connection:
                lost = await first(connection, Disconnected)
                assert lost.reason.endswith("is it one without TLS (ws://)?")

    run(main())
