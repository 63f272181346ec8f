"""The simulator against a scripted brain: what it counts, what it waits for, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest

from client_tests.scripted_http import Answer, Request, plan, says, scripted_http
from robot_client import address
from robot_client.choice import FoundBrain
from robot_client.cli import main
from robot_client.memory import Memory, resident_mb
from robot_client.simulation import Options, simulate
from robot_client.supervisor_errors import Refused, Unreachable

HELLO = {"action": "say", "text": "Hello!"}
HAPPY = {"action": "emote", "name": "happy", "intensity": 0.5}
CAREFUL = {"action": "skill", "name": "avoid_obstacle"}


class Sleeps:
    """Doesn't sleep, and remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


def test_a_quarter_of_an_hour_is_lived_and_counted(run: Any) -> None:
    async def brain_says(request: Request) -> Answer:
        return plan(request, HELLO, HAPPY, CAREFUL)

    async def main() -> None:
        async with scripted_http(brain_says) as brain:
            memory = Memory(os.getpid())
            # A brain that answers at once: what cooldowns drop is then a matter of the seed alone.
            tally = await simulate(
                Options(brain.url, hours=0.25, seed=3), memory=memory, clock=lambda: 0.0
            )
            states = [request.json for request in brain.requests]
        assert tally.good
        assert 170 < tally.asked == tally.answered == len(states) < 400
        assert {state["robot_id"] for state in states} == {"sim-3-0"}
        assert states[-1]["monotonic_ts_ms"] - states[0]["monotonic_ts_ms"] > 890_000
        report = tally.as_json()
        assert report["hours_lived"] == pytest.approx(0.25, abs=0.01)
        assert report["actions"] == {
            "say": {"": tally.asked}, "emote": {"happy": tally.asked},
            "skill": {"avoid_obstacle": tally.asked},
        }  # fmt: skip
        # One line over and over: a repeat each time, and spoken only every twelve seconds.
        assert report["lines_repeated_in_a_row"] == tally.asked - 1
        spoken = report["lines"]["Hello!"]
        assert spoken == report["done"]["say"] <= 76
        assert spoken + report["dropped_by_cooldown"]["say"] == tally.asked
        assert report["done"]["skill"] == tally.asked
        assert set(report["latency_ms"]) == {"p50", "p95", "p99", "max"}
        assert len(memory.samples) == 1 + tally.asked // 10
        # The robot knows of what it did.
        assert any("skill avoid_obstacle" in state["recent_events"] for state in states[1:])
        words = "\n".join(tally.lines())
        assert "Hello!" in words
        assert "avoid_obstacle" in words

    run(main())


def test_what_is_out_of_the_contract_is_counted_by_what_is_wrong(run: Any) -> None:
    async def brain_says(request: Request) -> Answer:
        n = request.json["seq"]
        if n % 3 == 0:
            return plan(request, HELLO, {"action": "skill", "name": "fly"})
        return plan(request, HELLO, ttl_ms=9 if n % 3 == 1 else 600)

    async def main() -> None:
        async with scripted_http(brain_says) as brain:
            tally = await simulate(Options(brain.url, plans=9))
        assert not tally.good
        assert tally.answered == 3
        assert dict(tally.invalid) == {"ttl_ms": 3, "name": 3}
        assert any("actions[1].name: unknown: 'fly'" in example for example in tally.examples)

    run(main())


def test_a_busy_brain_is_left_alone_for_as_long_as_it_says(run: Any) -> None:
    sleeps = Sleeps()

    async def brain_says(request: Request) -> Answer:
        if request.json["seq"] % 2:
            return Answer(429, {"error": "planner_busy"}, {"Retry-After": "7"})
        return plan(request, HAPPY)

    async def main() -> None:
        async with scripted_http(brain_says) as brain:
            tally = await simulate(Options(brain.url, plans=10, robots=2), sleep=sleeps)
            states = [request.json for request in brain.requests]
        assert (tally.asked, tally.busy + tally.answered) == (10, 10)
        assert tally.busy >= 5
        assert {state["robot_id"] for state in states} == {"sim-0-0", "sim-0-1"}
        assert len(sleeps.asked) == tally.busy
        assert all(7 <= seconds <= 9 for seconds in sleeps.asked)
        for robot in ("sim-0-0", "sim-0-1"):
            times = [s["monotonic_ts_ms"] for s in states if s["robot_id"] == robot]
            # Robots wait in their own time too.
            assert all(b - a >= 6_800 for a, b in zip(times[::2], times[1::2], strict=False))

    run(main())


def test_every_other_trouble_is_counted_and_life_goes_on(run: Any) -> None:
    answers = [
        Answer(504, {"error": "llm_timeout"}),
        Answer(502, {"error": "llm_error", "detail": "x"}),
        Answer(422, {"error": "invalid_request", "detail": "range_mm: too far"}),
    ]

    async def brain_says(request: Request) -> Answer | None:
        n = request.json["seq"]
        if n == 4:
            request.writer.transport.abort()
            return None
        return answers[n - 1] if n <= 3 else plan(request)

    async def main() -> None:
        async with scripted_http(brain_says) as brain:
            tally = await simulate(Options(brain.url, plans=6), sleep=Sleeps())
        assert dict(tally.failed) == {"llm_timeout": 1, "llm_error": 1, "unreachable": 1}
        assert dict(tally.refused) == {"range_mm": 1}
        assert (tally.answered, tally.empty) == (2, 2)
        assert not tally.good, "our states are good: a refusal is somebody's fault"

    run(main())


def test_a_plan_that_comes_too_late_is_not_done(run: Any) -> None:
    async def brain_says(request: Request) -> Answer:
        await asyncio.sleep(0.6)
        return plan(request, HELLO, ttl_ms=500)

    async def main() -> None:
        async with scripted_http(brain_says) as brain:
            tally = await simulate(Options(brain.url, plans=1))
        assert (tally.stale, sum(tally.done.values()), len(tally.cooled)) == (1, 0, 0)

    run(main())


def test_no_brain_is_given_up_on_and_a_bad_token_at_once(run: Any) -> None:
    sleeps = Sleeps()
    with pytest.raises(Unreachable):
        run(simulate(Options("http://127.0.0.1:9", plans=100), sleep=sleeps))
    assert len(sleeps.asked) == 6
    assert sleeps.asked[-1] > sleeps.asked[0]

    async def main() -> None:
        async with scripted_http(says(Answer(401, {"error": "unauthorized"}))) as brain:
            with pytest.raises(Refused):
                await simulate(Options(brain.url, plans=100, robots=3), sleep=sleeps)

    run(main())


def test_the_command(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def brain_says(request: Request) -> Answer:
        return plan(request, HELLO, *([CAREFUL] * 5 if request.json["seq"] == 9 else []))

    async def command(*arguments: object) -> int:
        return await asyncio.to_thread(main, ["simulate", *map(str, arguments)])

    async def ask() -> int:
        async with scripted_http(brain_says) as brain:
            port = ("--local-server-port", brain.port)
            assert await command(*port, "--plans", 5, "--pid", os.getpid(), "--json") == 0
            report = json.loads(capsys.readouterr().out)
            assert report["good"]
            assert report["answered"] == 5
            assert report["memory"]["peak_mb"] >= report["memory"]["start_mb"] > 1
            assert await command(*port, "--plans", 9, "--max-actions", 5) == 1
            out = capsys.readouterr().out
            assert "invalid   actions 1" in out
            assert "6 of them; 5 are allowed" in out
            return brain.port

    port = run(ask())
    for host in ("127.0.0.1", "::1"):
        assert (
            run(command("--local-server-ip", host, "--local-server-port", port, "--plans", 1)) == 69
        )
    assert f"no brain at http://[::1]:{port}" in capsys.readouterr().err


def test_the_brain_is_named_as_it_is_to_the_other_commands(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def brain_says(request: Request) -> Answer:
        return plan(request, HELLO)

    async def ask() -> None:
        async with scripted_http(brain_says) as brain:
            announced = FoundBrain("the one", ("127.0.0.1",), brain.port, protocol=1, id="1")

            async def search(**_how: object) -> list[FoundBrain]:
                return [announced]

            monkeypatch.setattr(address, "find_brains", search)
            for where in (f"ws://127.0.0.1:{brain.port}", f"127.0.0.1:{brain.port}", "auto"):
                monkeypatch.setenv("LOCAL_SERVER_IP", where)
                assert await asyncio.to_thread(main, ["simulate", "--plans", "1"]) == 0
            assert len(brain.requests) == 3

    run(ask())
    assert "found the brain 'the one'" in capsys.readouterr().err
    assert main(["simulate", "--local-server-ip", "ftp://here"]) == 2
    assert "ftp://" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--plans", "0"], ["--hours", "nan"], ["--plans", "x"], ["--robots", "-1"]]
)
def test_bad_arguments(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *wrong])
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_a_process_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--pid", str(2**22 + 1)]) == 2
    assert "--pid" in capsys.readouterr().err


def test_memory_that_grows_is_seen() -> None:
    memory = Memory(os.getpid())
    assert memory.growth_mb() == 0
    assert memory.samples[0] == pytest.approx(resident_mb(os.getpid()), abs=50)
    assert resident_mb(os.getpid(), peak=True) >= memory.samples[0] - 1
    memory.samples = [100.0] * 10 + [140.0] * 30
    assert memory.growth_mb() == 0  # it settles in the first quarter
    memory.samples = [float(n) for n in range(100, 140)]
    assert memory.growth_mb() == 20
    with pytest.raises(OSError, match="No such"):
        Memory(2**22 + 1)
