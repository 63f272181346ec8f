"""The supervisor's client over real sockets: every answer a brain may give, and none at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from client_tests.scripted_http import Answer, Request, plan, says, scripted_http
from robot_client.plans import BadPlan, Say, WorldState
from robot_client.supervisor import Health, SupervisorClient
from robot_client.supervisor_errors import (
    Busy,
    Failed,
    Refused,
    SupervisorError,
    Timeout,
    Unreachable,
)

STATE = WorldState(seq=7, monotonic_ts_ms=1_000, mode="WANDER", range_mm=600, battery_mv=7_800)
SOUND = {"X-Audio-Sample-Rate": "16000", "X-Audio-Channels": "1"}
Ask = Callable[[SupervisorClient], Awaitable[Any]]


async def a_plan(client: SupervisorClient) -> Any:
    return await client.plan(STATE)


async def a_sound(client: SupervisorClient) -> Any:
    return [block async for block in client.tts("Hello!")]


async def a_health(client: SupervisorClient) -> Any:
    return await client.health()


def test_a_plan(run: Any) -> None:
    async def brain_says(request: Request) -> Answer:
        return plan(request, {"action": "say", "text": "Hello!"}, ttl_ms=700)

    async def main() -> None:
        async with scripted_http(brain_says) as brain:
            async with SupervisorClient(f"{brain.url}/", "robot-1", "secret") as client:
                first, second = await client.plan(STATE), await client.plan(STATE)
            await client.close()
            assert first == second
            assert first.actions == (Say("Hello!"),)
            assert first.ttl_ms == 700
            assert brain.connections == 1, "the connection is kept"
            request = brain.requests[0]
            assert (request.method, request.path) == ("POST", "/plan")
            assert request.headers["authorization"] == "Bearer secret"
            assert request.headers["content-type"] == "application/json"
            assert request.json == {
                "robot_id": "robot-1", "seq": 7, "monotonic_ts_ms": 1000, "mode": "WANDER",
                "range_mm": 600, "battery_mv": 7800, "faults": [], "clear_confidence": -1.0,
                "ball_detected": False, "ball_bearing_deg": 0.0, "speed_l_mm_s": 0.0,
                "speed_r_mm_s": 0.0, "v_capped": 0.0, "w_capped": 0.0, "trigger": "heartbeat",
                "recent_events": [], "planner_active_skill": "patrol_drift",
                "face_talking": False, "face_listening": False,
            }  # fmt: skip

    run(main())


ENGLISH = {"error": "planner_busy", "detail": "one plan at a time"}


@pytest.mark.parametrize(
    ("ask", "answer", "kind", "fields"),
    [
        (a_plan, Answer(429, ENGLISH, {"Retry-After": "1"}), Busy,
         {"code": "planner_busy", "retry_after_s": 1.0}),
        (a_plan, Answer(429, ENGLISH, {"Retry-After": "0.25"}), Busy, {"retry_after_s": 0.25}),
        (a_plan, Answer(429, b"", {"Retry-After": "Fri, 20 Nov 2026 12:00:00 GMT"}), Busy,
         {"code": "http_429", "retry_after_s": 1.0}),
        (a_plan, Answer(429, [], {"Retry-After": "-5"}), Busy, {"retry_after_s": 0.0}),
        (a_plan, Answer(429, [], {"Retry-After": "inf"}), Busy, {"retry_after_s": 1.0}),
        (a_plan, Answer(504, {"error": "llm_timeout", "detail": "20 s"}), Timeout,
         {"code": "llm_timeout"}),
        (a_plan, Answer(502, {"error": "llm_unreachable", "detail": "x"}), Failed,
         {"code": "llm_unreachable", "status": 502}),
        (a_plan, Answer(502, {"error": "llm_error", "detail": "no plan"}), Failed,
         {"code": "llm_error"}),
        (a_plan, Answer(500, b"Internal Server Error"), Failed, {"code": "http_500"}),
        (a_plan, Answer(422, {"error": "invalid_request", "detail": "seq: must be at least 0"}),
         Refused, {"status": 422, "field": "seq", "why": "must be at least 0"}),
        (a_plan, Answer(422, {"detail": [{"loc": ["body", "power", "soc_pct"], "msg": "bad"}]}),
         Refused, {"field": "power.soc_pct", "why": "bad"}),
        (a_plan, Answer(422, {"error": "invalid", "field": "mode", "detail": "missing"}),
         Refused, {"field": "mode", "why": "missing"}),
        (a_plan, Answer(401, {"error": "unauthorized", "detail": "token missing or wrong"}),
         Refused, {"status": 401, "field": "token"}),
        (a_plan, Answer(404, {"detail": "Not Found"}), Refused, {"field": "", "why": "Not Found"}),
        (a_plan, Answer(200, b"{"), BadPlan, {"field": "plan"}),
        (a_plan, Answer(200, b"[" * 100_000), BadPlan, {"field": "plan"}),
        (a_plan, Answer(200, {"actions": []}), BadPlan, {"field": "robot_id"}),
        (a_sound, Answer(503, {"detail": "tts_busy_no_fallback"}), Busy,
         {"code": "tts_busy_no_fallback"}),
        (a_sound, Answer(503, {"error": "tts_unavailable", "detail": "off"}), Failed,
         {"code": "tts_unavailable"}),
        (a_sound, Answer(400, {"detail": "empty text"}), Refused,
         {"status": 400, "why": "empty text"}),
        (a_sound, Answer(200, b"\x00\x01\x02", SOUND), Unreachable, {}),
        (a_sound, Answer(200, b"\x00\x01", {**SOUND, "X-Audio-Sample-Rate": "8000"}), Failed,
         {"code": "bad_sound"}),
        (a_sound, Answer(200, b"\x00\x01"), Failed, {"code": "bad_sound"}),
        (a_health, Answer(500, b""), Failed, {"code": "http_500"}),
        (a_health, Answer(200, []), Failed, {"code": "bad_health"}),
        (a_health, Answer(503, b"busy"), Failed, {"code": "bad_health"}),
    ],
)  # fmt: skip
def test_every_trouble_has_its_name(
    run: Any, ask: Ask, answer: Answer, kind: type[Exception], fields: dict[str, Any]
) -> None:
    async def main() -> Exception:
        async with scripted_http(says(answer)) as brain, SupervisorClient(brain.url, "r") as client:
            with pytest.raises(kind) as raised:
                await ask(client)
            return raised.value

    error = run(main())
    assert {name: getattr(error, name) for name in fields} == fields
    assert str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("ask", [a_plan, a_sound, a_health])
def test_no_brain(run: Any, ask: Ask) -> None:
    async def main() -> None:
        async with SupervisorClient("http://127.0.0.1:9", "r") as client:
            with pytest.raises(Unreachable, match=r"no brain at http://127\.0\.0\.1:9"):
                await ask(client)

    run(main())


@pytest.mark.parametrize("ask", [a_plan, a_sound, a_health])
def test_a_brain_that_hangs_up_and_is_asked_again(run: Any, ask: Ask) -> None:
    async def hangs_up(request: Request) -> None:
        request.writer.transport.abort()

    async def main() -> None:
        async with scripted_http(hangs_up) as brain, SupervisorClient(brain.url, "r") as client:
            for _ in range(2):
                with pytest.raises(Unreachable):
                    await ask(client)
            assert brain.connections == 2

    run(main())


def test_a_connection_that_the_brain_has_dropped_meanwhile_is_replaced(run: Any) -> None:
    async def drops(request: Request) -> None:
        request.writer.write(plan(request).as_bytes())

    async def main() -> None:
        async with scripted_http(drops) as brain, SupervisorClient(brain.url, "r") as client:
            for _ in range(3):
                assert (await client.plan(STATE)).actions == ()
                await brain.requests[-1].writer.wait_closed()
            assert brain.connections == 3

    run(main())


def test_our_own_limit_holds_for_the_whole_answer(run: Any) -> None:
    """A byte now and then doesn't make a plan arrive in time; the request is closed."""
    gone = asyncio.Event()

    async def dribbles(request: Request) -> None:
        request.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        try:
            while True:
                request.writer.write(b" ")
                await request.writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()

    async def main() -> None:
        async with (
            scripted_http(dribbles) as brain,
            SupervisorClient(brain.url, "r", plan_limit_s=0.2) as client,
        ):
            with pytest.raises(Timeout) as timeout:
                await client.plan(STATE)
            assert timeout.value.code == "no_answer"
            await gone.wait()

    run(main())


def test_sound_that_stalls_is_given_up(run: Any) -> None:
    async def stalls(request: Request) -> None:
        request.writer.write(Answer(200, bytes(10), {**SOUND, "Content-Length": "20"}).as_bytes())
        await request.reader.read()

    async def main() -> None:
        async with (
            scripted_http(stalls) as brain,
            SupervisorClient(brain.url, "r", tts_limit_s=0.1) as client,
            aclosing(client.tts("Hello!")) as sound,
        ):
            assert await anext(sound) == bytes(10)
            with pytest.raises(Timeout):
                await anext(sound)

    run(main())


def test_cancelling_closes_the_request(run: Any) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def thinks(request: Request) -> None:
        asked.set()
        await request.reader.read()
        gone.set()

    async def main() -> None:
        async with scripted_http(thinks) as brain, SupervisorClient(brain.url, "r") as client:
            waiting = asyncio.ensure_future(client.plan(STATE))
            await asked.wait()
            waiting.cancel()
            await gone.wait()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    run(main())


def test_sound_comes_in_whole_samples_as_it_is_made(run: Any) -> None:
    first_heard = asyncio.Event()

    async def speaks(request: Request) -> None:
        assert request.json == {
            "text": "Hello!", "emotion": "happy", "intensity": 0.8, "robot_id": "r",
        }  # fmt: skip
        head = "".join(f"{name}: {value}\r\n" for name, value in SOUND.items())
        request.writer.write(
            f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{head}\r\n"
            "3\r\n\x01\x02\x03\r\n".encode()
        )
        await first_heard.wait()  # so it was streamed, or this would wait for ever
        request.writer.write(b"1\r\n\x04\r\n0\r\n\r\n")
        await request.writer.drain()

    async def main() -> None:
        async with scripted_http(speaks) as brain, SupervisorClient(brain.url, "r") as client:
            blocks = []
            async for block in client.tts("Hello!", "happy", 0.8):
                blocks.append(block)
                first_heard.set()
        assert blocks == [b"\x01\x02", b"\x03\x04"]

    run(main())


def test_stopping_early_closes_the_stream(run: Any) -> None:
    gone = asyncio.Event()

    async def speaks_on(request: Request) -> None:
        request.writer.write(Answer(200, b"", {**SOUND, "Content-Length": "100000000"}).as_bytes())
        try:
            while True:
                request.writer.write(bytes(2_000))
                await request.writer.drain()
        except ConnectionError:
            gone.set()

    async def main() -> None:
        async with scripted_http(speaks_on) as brain, SupervisorClient(brain.url, "r") as client:
            async with aclosing(client.tts("A long story.")) as sound:
                async for _block in sound:
                    break
            await gone.wait()

    run(main())


@pytest.mark.parametrize("status", [200, 503])
def test_health_is_read_well_or_ill(run: Any, status: int) -> None:
    async def main() -> Health:
        script = says(Answer(status, {"status": "x", "model": "m"}))
        async with scripted_http(script) as brain, SupervisorClient(brain.url, "r") as client:
            return await client.health()

    assert run(main()) == Health(status == 200, {"status": "x", "model": "m"})


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="http"):
        SupervisorClient("ws://127.0.0.1", "r")
    assert issubclass(Busy, SupervisorError)
