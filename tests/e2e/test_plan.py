"""`POST /plan` over real sockets: busy, slow and broken minds, robots that leave, the product."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from brain.api import plan as plan_api
from brain.api.token import Tokens
from brain.cli.plan import plan
from brain.ops import bench_plan
from brain.planner.options import PlanOptions
from brain.planner.service import Planner
from brain.settings import Settings
from brain.settings.layers import Assignment, Layer, profile_layer
from brain.settings.load import resolve
from tests.e2e.pocket import Brain, a_pocket_brain
from tests.e2e.sockets import a_server
from tests.planner.minds import PlanMind, emote, say
from tests.planner.test_schema import SEED
from tests.scripted_engines import Hang, ScriptedMind

HAPPY = emote("happy", 0.9)


def run(
    mind: ScriptedMind, main: Callable[[httpx.AsyncClient, Planner], Awaitable[None]], **how: Any
) -> None:
    async def whole() -> None:
        app = FastAPI()
        planner = Planner(mind, PlanOptions(**how))
        app.include_router(plan_api.router(planner, tokens=Tokens()))
        async with (
            a_server(app) as address,
            httpx.AsyncClient(base_url=address, timeout=20, trust_env=False) as web,
        ):
            await main(web, planner)

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():  # noqa: ASYNC110 - nobody tells the test
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), 10)


def test_one_is_served_and_the_others_hear_so_at_once() -> None:
    mind = PlanMind([Hang()])

    async def main(web: httpx.AsyncClient, planner: Planner) -> None:
        first = asyncio.ensure_future(web.post("/plan", json=SEED))
        await until(lambda: mind.active == 1)
        others = await asyncio.gather(*(web.post("/plan", json=SEED) for _ in range(20)))
        # The first one is at the model still: nobody waited for it.
        assert not first.done()
        for answer in others:
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"] == "planner_busy"
        assert (planner.admission.admitted, planner.admission.rejected) == (1, 20)
        late = await first
        assert (late.status_code, late.json()["error"]) == (504, "llm_timeout")
        assert mind.active == 0

    run(mind, main, timeout_s=1.0)


def test_a_robot_that_hangs_up_sets_the_mind_free() -> None:
    mind = PlanMind([Hang()], [HAPPY], seconds=0)

    async def main(web: httpx.AsyncClient, planner: Planner) -> None:
        _, writer = await asyncio.open_connection(web.base_url.host, web.base_url.port)
        body = json.dumps(SEED).encode()
        writer.write(
            b"POST /plan HTTP/1.1\r\nHost: brain\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await until(lambda: mind.active == 1)
        writer.close()
        await until(lambda: mind.active == 0)
        await until(lambda: planner.admission.inflight == 0)
        answer = await web.post("/plan", json=SEED)
        assert answer.json()["actions"] == [HAPPY]

    run(mind, main, timeout_s=60)


def test_a_mind_that_is_wrong_once_and_one_that_is_wrong_twice() -> None:
    async def once(web: httpx.AsyncClient, planner: Planner) -> None:
        answer = await web.post("/plan", json=SEED)
        assert answer.status_code == 200
        assert answer.json()["actions"] == [HAPPY]

    async def twice(web: httpx.AsyncClient, planner: Planner) -> None:
        answer = await web.post("/plan", json=SEED)
        assert (answer.status_code, answer.json()["error"]) == (502, "llm_error")

    run(PlanMind('{"actions": [{"action": ', [HAPPY], seconds=0), once)
    run(PlanMind('{"actions": [{"action": ', seconds=0), twice)


def test_prose_and_fences_around_a_plan_are_no_matter() -> None:
    text = f"Sure!\n```json\n{json.dumps({'actions': [{'name': 'say', 'text': 'Hi!'}]})}\n```"

    async def main(web: httpx.AsyncClient, planner: Planner) -> None:
        answer = await web.post("/plan", json=SEED)
        assert answer.json()["actions"] == [say("Hi!")]

    run(ScriptedMind([text], first_seconds=0, token_seconds=0), main)


# -- the whole product ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brain]:
    with a_pocket_brain(tmp_path_factory.mktemp("brain"), "--set", "BRAIN_TOKEN=abc") as running:
        running.until_ready()
        yield running


def ask(brain: Brain, **fields: Any) -> httpx.Response:
    headers = {"Authorization": "Bearer abc"}
    url = f"http://127.0.0.1:{brain.port}/plan"
    return httpx.post(url, json={**SEED, **fields}, headers=headers, timeout=60, trust_env=False)


def test_the_pocket_brain_plans_and_counts(brain: Brain) -> None:
    first = ask(brain)
    assert first.status_code == 200
    actions = first.json()["actions"]
    assert {"action": "gesture", "name": "look_at", "params": {"bearing": 15.2}} in actions
    assert {"action": "skill", "name": "investigate_ball"} in actions
    again = ask(brain, robot_id="robot-2", ball_bearing_deg=22.5)
    assert "cache" in again.headers["server-timing"]
    assert {"action": "gesture", "name": "look_at", "params": {"bearing": 22.5}} in (
        again.json()["actions"]
    )
    assert ask(brain, seq=-1).status_code == 422
    admission = brain.get("/health")[1]["plan_admission"]
    assert admission == {"max_inflight": 1, "inflight": 0, "admitted": 2, "rejected": 0}
    anonymous = httpx.post(f"http://127.0.0.1:{brain.port}/plan", json=SEED, trust_env=False)
    assert anonymous.status_code == 401


def test_an_answer_is_not_held_back_by_the_socket(brain: Brain) -> None:
    """Without TCP_NODELAY each of these would take 40 ms: head and body go in two pieces."""
    with httpx.Client(base_url=f"http://127.0.0.1:{brain.port}", trust_env=False) as web:
        times = []
        for _ in range(15):
            began = time.perf_counter()
            web.get("/ready")
            times.append(time.perf_counter() - began)
    assert min(times) < 0.03


def pocket(**changed: str) -> Settings:
    """The pocket profile and nothing of this machine's."""
    flags = Layer(tuple(Assignment(name, value, "--set") for name, value in changed.items()))
    return resolve([profile_layer("pocket"), flags], profile="pocket")


def test_the_command_plans_without_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(SEED).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert plan(pocket(), "-", explain=True) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["seq"] == 42
    assert "ball seen at 15" in printed.err
    state = tmp_path / "state.json"
    state.write_text('{"robot_id": "robot-1", "seq": -1}')
    for path, why in ((state, "seq"), (tmp_path / "no.json", "no.json")):
        assert plan(pocket(), str(path), explain=False) == 1
        printed = capsys.readouterr()
        assert why in printed.err
        assert len(printed.err.splitlines()) == 1
        assert not printed.out


def test_the_bench_measures_a_brain_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    status = bench_plan.run(pocket(BRAIN_TOKEN="abc"), json=True, plans=3)
    figures = json.loads(capsys.readouterr().out)
    assert figures["plans"] == len(figures["each"]) == 3
    assert figures["refused"] == {}
    assert 0 < figures["server_median_ms"] < figures["own_median_ms"] < 1000
    assert figures["engine_median_ms"] > 1
    assert status == (0 if figures["met"] else 1)
