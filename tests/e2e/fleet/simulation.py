"""Robots on two brains over three engine servers and a Redis; one of each is killed under way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brain.history.records import decode
from brain.history.shared_database import SharedDatabase
from robot_client.address import Locator, brain_address
from tests.e2e.fleet.robot import Failed, Robot
from tests.e2e.pocket import Brain, a_pocket_brain, spoken
from tests.history.redis_server import RedisServer, a_redis

ROOT = Path(__file__).parents[3]
# What was asked so long after a kill may still run into what isn't there any more: a brain's
# sessions break at once, an engine's breaker opens within a call's time limit.
AFTERMATH_S = 10.0
# An answer that came so shortly before its brain was killed may not be in Redis.
UNWRITTEN_S = 0.5
_REDIS_AWAY_S = 2.0
_LONGEST_S = 240.0


@dataclass(frozen=True)
class Plan:
    """How many, and how fast: each robot asks so many questions with about `pause_s` between."""

    typing: int = 200
    speaking: int = 10
    questions: int = 6
    pause_s: float = 4.0


@dataclass
class Timeline:
    """What was killed when, in `time.monotonic()` seconds. `brain`: a part of that one's URL."""

    brain: str
    kills: dict[str, float] = field(default_factory=dict)

    def excused(self, bad: Failed) -> bool:
        return any(
            bad.asked_at < at + AFTERMATH_S and bad.ended_at > at for at in self.kills.values()
        )

    def may_lack(self, answered_at: float, by: str) -> bool:
        killed = self.kills.get("brain", float("inf"))
        return self.brain in by and killed - UNWRITTEN_S < answered_at < killed + 0.1


@dataclass
class Outcome:
    """`figures` for the record; `faults` are sentences, empty if all is as it should be."""

    figures: dict[str, Any]
    faults: list[str]


@contextlib.contextmanager
def an_engine_server(folder: Path, name: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A scripted one, ready; its process and its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / f"engine-{name}.log").open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.fleet.engine_server", name, str(port)],
            cwd=ROOT, stdout=sink, stderr=sink, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}/v1"
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/models", timeout=2).close()
                break
            assert time.monotonic() < deadline, f"engine server {name} isn't up"
            assert process.poll() is None, (folder / f"engine-{name}.log").read_text()
            time.sleep(0.05)
        yield process, url
    finally:
        process.kill()
        process.wait(20)


def a_bare_brain(folder: Path, *arguments: str) -> AbstractContextManager[Brain]:
    """One that has no model to fall to, as in a fleet."""
    return a_pocket_brain(
        folder,
        *arguments,
        module="tests.e2e.fleet.bare_brain",
        environ={"PYTHONPATH": str(ROOT)},
    )


def settings(redis: RedisServer, engines: list[str]) -> list[str]:
    """Of a brain of the fleet: arguments of `brain serve`."""
    urls = ",".join(engines)
    wanted = {
        "LLM_BACKEND": "openai",
        "OPENAI_URL": urls,
        "LLM_MAX_INFLIGHT": "128",
        "STT_BACKEND": "openai",
        "STT_OPENAI_URL": urls,
        "TTS_BACKEND": "openai",
        "TTS_OPENAI_URL": urls,
        "TTS_OPENAI_MAX_INFLIGHT": "64",
        "HISTORY_STORE": redis.url,
        "HISTORY_ROBOTS": "300",
        "MAX_SESSIONS": "300",
        # All robots come from one address here.
        "SESSIONS_PER_ADDRESS": "300",
        "REQUESTS_PER_S": "0",
        "DISCOVERY": "0",
    }
    return [word for name, value in wanted.items() for word in ("--set", f"{name}={value}")]


def simulate(folder: Path, plan: Plan) -> Outcome:
    """One run, from nothing to nothing. Takes about `questions` x `pause_s` seconds."""
    folders = [folder / name for name in ("brain-1", "brain-2")]
    for one in folders:
        one.mkdir()
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(a_redis(folder / "redis", password="fleet"))
        engines = [stack.enter_context(an_engine_server(folder, name)) for name in "123"]
        arguments = settings(redis, [url for _, url in engines])
        brains = [stack.enter_context(a_bare_brain(one, *arguments)) for one in folders]
        for brain in brains:
            brain.until_ready(180)
        return asyncio.run(_run(plan, redis, [process for process, _ in engines], brains))


async def _run(
    plan: Plan, redis: RedisServer, engines: list[subprocess.Popen[bytes]], brains: list[Brain]
) -> Outcome:
    where = ",".join(f"127.0.0.1:{brain.port}" for brain in brains)
    sound = spoken("What is two plus two?").tobytes() if plan.speaking else b""
    robots = [
        Robot(
            number,
            Locator(brain_address(where, robot_id=f"robot-{number}")),
            plan.questions,
            plan.pause_s,
            sound if number <= plan.speaking else None,
        )
        for number in range(1, plan.typing + plan.speaking + 1)
    ]
    timeline, answered, reached = Timeline(f":{brains[0].port}/"), 0, asyncio.Event()
    total = len(robots) * plan.questions
    began = time.monotonic()

    def one_more() -> None:
        nonlocal answered
        answered += 1
        reached.set()

    async def until(share: float) -> None:
        while answered < share * total:
            reached.clear()
            await reached.wait()

    async def kills() -> None:
        await until(0.2)
        timeline.kills["engine"] = time.monotonic()
        engines[0].kill()
        await until(0.4)
        timeline.kills["brain"] = time.monotonic()
        brains[0].process.kill()
        await until(0.65)
        # (One at a time: who comes to another brain while Redis is away can't be known there.)
        while not all(robot.at_ease for robot in robots):
            reached.clear()
            await reached.wait()
        timeline.kills["redis"] = time.monotonic()
        redis.kill()
        await asyncio.sleep(_REDIS_AWAY_S)
        await asyncio.to_thread(redis.start)

    own_cpu, brain_cpu = time.process_time(), cpu_s(brains[1].process.pid)
    killing = asyncio.ensure_future(kills())
    try:
        lives = asyncio.gather(*(robot.live(one_more) for robot in robots))
        await asyncio.wait_for(lives, _LONGEST_S)
        took = time.monotonic() - began
        await asyncio.wait_for(killing, 10)
    finally:
        killing.cancel()
    status, ready = await asyncio.to_thread(brains[1].get, "/ready")
    faults = [
        fault for robot in robots for fault in robot.faults(timeline.excused, timeline.may_lack)
    ]
    if (status, ready["history"]["store"], ready["degraded"]) != (200, "redis", False):
        faults.append(f"the brain that is left isn't ready: {ready}")
    faults += await asyncio.to_thread(_stored, redis, robots)
    second = f":{brains[1].port}/"
    there = [url for robot in robots for _, url in robot.answered.values() if second in url]
    seconds = sorted(one for robot in robots for one in robot.seconds)
    moved = sum(len(robot.resumed) > 1 for robot in robots)
    if not 0 < moved < len(robots):
        faults.append(f"{moved} robots went over to the other brain")
    if not all(all(robot.resumed[1:]) for robot in robots):
        faults.append("a robot came to another brain, and its history was not there")
    figures = {
        "robots_typing": plan.typing,
        "robots_speaking": plan.speaking,
        "questions": total,
        "answered": sum(len(robot.answered) for robot in robots),
        "asked_again": sum(len(robot.failed) for robot in robots),
        "turns_unwritten_at_the_kill": sum(robot.forgotten() for robot in robots),
        "went_over": moved,
        "seconds": round(took, 1),
        "answer_median_ms": round(1000 * statistics.median(seconds)),
        "answer_p95_ms": round(1000 * seconds[int(0.95 * len(seconds))]),
        "cpu_ms_a_question_brain": round(
            1000 * (cpu_s(brains[1].process.pid) - brain_cpu) / max(1, len(there)), 1
        ),
        "cpu_ms_a_question_robots": round(1000 * (time.process_time() - own_cpu) / total, 1),
        "killed_after_s": {what: round(at - began, 1) for what, at in timeline.kills.items()},
    }
    return Outcome(figures, faults)


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _stored(redis: RedisServer, robots: list[Robot]) -> list[str]:
    """What is wrong with what is in Redis in the end."""
    database = SharedDatabase(redis.url)
    rows = {row.robot: row for row in database.rows()}
    database.close()
    found = []
    for robot in robots:
        row = rows.get(f"robot-{robot.number}")
        if row is None:
            found.append(f"robot {robot.number} isn't in Redis")
            continue
        said = [one.content for one in decode(row.messages) if one.role == "user"]
        told = robot.told[-1][1] if robot.told else []
        if [words.removeprefix("question ") for words in said] != told:
            found.append(f"robot {robot.number}: in Redis are {said}, not {told}")
        if row.last_reply < robot.replies[-1][1]:
            found.append(f"robot {robot.number}: Redis knows of fewer replies than it was given")
    return found
