"""What a caller sees of servers that fail, and how soon: real sockets, scripted servers."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from brain.engines.llm.openai import OpenAIMind, OpenAIOptions
from brain.engines.ports import (
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    LanguageModel,
    Message,
    Text,
    Ticket,
)
from brain.engines.recipes.minds import check_language_model
from brain.engines.recipes.remote import one_is_there, pool_of
from brain.engines.remote import openai_server, tending
from brain.engines.remote.pool import Pool
from brain.engines.remote.pool_ports import PoolLanguageModel
from tests.certificates import a_certificate
from tests.engines.llm.openai_scripted_server import (
    Answer,
    Cut,
    ScriptedServer,
    Wait,
    a_server,
    refuses,
    says,
)

FIRST_S = 1.5
SHARE_S = FIRST_S * 0.9 / 2
AT_ONCE_S = 3.0
"""Many times what it takes on a machine that does nothing else."""
KEY = "sesam-oeffne-dich"


async def load(options: OpenAIOptions) -> LanguageModel:
    return await OpenAIMind.load(options)


@asynccontextmanager
async def two_minds() -> AsyncIterator[tuple[PoolLanguageModel, ScriptedServer, ScriptedServer]]:
    """A mind on two servers, a robot of which the first had last."""
    async with a_server(says("one")) as one, a_server(says("two")) as two:
        servers = [OpenAIOptions(server.url, api_key=KEY) for server in (one, two)]
        pool: Pool[LanguageModel] = await pool_of(
            servers, load, check_language_model, first_s=FIRST_S, sticks=True
        )
        mind = PoolLanguageModel(pool)
        while await said(mind) != "one":
            pool._last.clear()
        yield mind, one, two
        await mind.close()


async def said(mind: LanguageModel, ticket: Ticket | None = None) -> str:
    """What it says, and an error's kind after it."""
    words = ""
    try:
        async for item in mind.stream([Message("user", "Hello.")], ticket=ticket or Ticket("r")):
            words += item.text if isinstance(item, Text) else ""
    except EngineError as error:
        return f"{words}!{type(error).__name__}"
    return words


@dataclass(frozen=True)
class Case:
    """`fault` befalls the first server; `sees` is what the caller gets, `within` s; `out`: that
    server is out of service afterwards; `others`: calls that the second server had."""

    name: str
    fault: Answer | None
    sees: str
    within: float = AT_ONCE_S
    out: bool = False
    others: int = 1

    def __str__(self) -> str:
        return self.name


CASES = (
    Case("gone before", None, "two", out=True),
    Case("hangs up before the headers", Answer(none=True), "two", out=True),
    Case("cut before the first token", Answer([Cut()]), "two"),
    Case("500", refuses(500, "CUDA error"), "two"),
    Case("502", refuses(502, "Bad gateway"), "two", out=True),
    Case("429", refuses(429, "Slow down"), "two"),
    Case("503", refuses(503, "Loading"), "two"),
    Case("404, another model now", refuses(404, "No such model"), "two", out=True),
    Case("401, another key now", refuses(401, "Bad key"), "two", out=True),
    Case("error in the stream", Answer([{"error": {"message": "Out of memory."}}]), "two"),
    Case("no first token", Answer([Wait()]), "two", SHARE_S + AT_ONCE_S, out=True),
    Case("cut in the midst", Answer([{"content": "on"}, Cut()]), "on!EngineFailed", others=0),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_the_caller_sees(case: Case) -> None:
    async def main() -> None:
        async with two_minds() as (mind, one, two):
            if case.fault is None:
                one.close()
            else:
                one.answer = lambda _: case.fault
            before = len(two.asked)
            began = asyncio.get_running_loop().time()
            assert await said(mind) == case.sees
            assert asyncio.get_running_loop().time() - began < case.within
            assert len(two.asked) - before == case.others
            first, second = mind.pool.endpoints
            assert (first.up, second.up) == (not case.out, True)
            if case.out:
                assert f"OPENAI_URL={one.url}" in first.reason
            # The robot stays where it was answered.
            assert await said(mind) == "two" or not case.others

    asyncio.run(asyncio.wait_for(main(), 20))


def test_one_that_accepts_and_never_answers_costs_its_share_and_is_out() -> None:
    async def main() -> None:
        async with two_minds() as (mind, one, _):
            port = one.close()
            with socket.create_server(("127.0.0.1", port)):
                began = asyncio.get_running_loop().time()
                assert await said(mind) == "two"
                took = asyncio.get_running_loop().time() - began
                assert SHARE_S * 0.9 < took < SHARE_S + AT_ONCE_S
                assert [endpoint.up for endpoint in mind.pool.endpoints] == [False, True]
                began = asyncio.get_running_loop().time()
                assert await said(mind) == "two"
                assert asyncio.get_running_loop().time() - began < AT_ONCE_S

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        ((refuses(429, "x"), refuses(500, "x")), EngineBusy),
        ((refuses(500, "x"), refuses(500, "x")), EngineFailed),
        ((Answer([Wait()]), Answer([Wait()])), EngineTimeout),
        ((refuses(502, "x"), refuses(500, "x")), EngineFailed),
        ((refuses(502, "x"), refuses(502, "x")), EngineUnavailable),
    ],
)
def test_what_it_is_when_none_answers(faults: tuple[Answer, Answer], kind: type) -> None:
    async def main() -> None:
        async with two_minds() as (mind, one, two):
            one.answer, two.answer = (lambda _: faults[0]), (lambda _: faults[1])
            began = asyncio.get_running_loop().time()
            assert await said(mind) == f"!{kind.__name__}"
            assert asyncio.get_running_loop().time() - began < FIRST_S + AT_ONCE_S

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_cancel_closes_the_stream_and_nobody_else_is_asked() -> None:
    async def main() -> None:
        async with two_minds() as (mind, one, two):
            one.answer = lambda _: Answer([Wait()])
            one.reached.clear()
            before, ticket = len(two.asked), Ticket("r")
            asked = asyncio.ensure_future(said(mind, ticket))
            await one.reached.wait()
            ticket.cancel.cancel()
            assert await asked == "!Cancelled"
            await asyncio.wait_for(one.left.wait(), 5)
            assert len(two.asked) == before

    asyncio.run(asyncio.wait_for(main(), 20))


def test_one_that_flaps_is_never_seen_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it does, every call is answered; and it comes back by itself."""
    monkeypatch.setattr(tending, "PROBE_S", 0.05)

    async def main() -> None:
        async with two_minds() as (mind, one, _):
            for well in (False, True) * 3:
                one.answer = (lambda _: says("one")) if well else (lambda _: refuses(502, "x"))
                for robot in "abcd":
                    assert await said(mind, Ticket(robot)) in ("one", "two")
            while not mind.pool.endpoints[0].up:  # noqa: ASYNC110 - it is tried in the background
                await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(main(), 30))


def test_one_of_several_is_enough_to_be_there() -> None:
    async def main() -> None:
        async with a_server() as one:
            there, gone = OpenAIOptions(one.url), OpenAIOptions("http://127.0.0.1:9/v1")
            await one_is_there([gone, there])
            with pytest.raises(EngineUnavailable, match=r"127\.0\.0\.1:9/v1"):
                await one_is_there([gone, gone])

    asyncio.run(asyncio.wait_for(main(), 20))


# -- keys and certificates ---------------------------------------------------------------------


def test_no_key_is_told_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, and however much is logged."""
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with two_minds() as (mind, one, two):
            for case in CASES:
                fault = case.fault or refuses(401, f"Incorrect key {KEY}.")
                one.answer = two.answer = lambda _, fault=fault: fault
                await said(mind)
                told = f"{mind.pool.endpoints} {mind.pool.counters()} {mind.info}"
                assert KEY not in told
            assert KEY not in repr(OpenAIOptions(one.url, api_key=KEY))
            heads = [head for _, head in (*one.heads, *two.heads)]
            assert all(head["authorization"] == f"bearer {KEY}" for head in heads)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert KEY not in caplog.text


def test_tls_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = a_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.cert, certificate.key)

    async def main(check: Callable[[OpenAIOptions], Awaitable[None]]) -> None:
        openai_server._certificates.cache_clear()
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(a_server(says("safe"), tls=context))
            await check(OpenAIOptions(server.url, api_key=KEY))

    async def refused(options: OpenAIOptions) -> None:
        for look in (openai_server.probe, load):
            with pytest.raises(EngineUnavailable, match=f"{options.url} can't be reached"):
                await look(options)

    async def accepted(options: OpenAIOptions) -> None:
        await openai_server.probe(options)
        mind = await load(options)
        assert await said(mind) == "safe"
        await mind.close()

    asyncio.run(main(refused))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
    asyncio.run(main(accepted))
    openai_server._certificates.cache_clear()
