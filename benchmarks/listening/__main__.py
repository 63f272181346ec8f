"""`python -m benchmarks.listening`: what listening costs a brain, and what `/ws` adds to a turn.

Robots in this process send sound in 20 ms frames at real time; each server has a process of its
own, of which the processor time (user and system, all threads, from /proc) is taken. Measured are

- `brain serve --profile pocket` with silent robots (pink noise at -60 dBFS), one and twenty, base64
  and binary, beside its floors: a bare WebSocket that decodes the same frames, and the detector
  alone, a frame at a time or ten at once;
- the real `/ws` and detector with ears, mind and mouth that are scripted and cost nothing: robots
  that say a short sentence every few seconds and are answered; how many such robots the machine
  carries while 99 % of the detector's verdicts are less than 100 ms late; and the time from the
  sending of the frame that completes the silence to the first sound of the answer at the robot.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.listening import sounds
from benchmarks.listening.robots import Robot, before, connected, talk, wire_frames
from benchmarks.listening.servers import Server, a_server, house
from tests.e2e.pocket import a_pocket_brain

RESULTS = Path(__file__).parents[1] / "results"
_WARM_UP_S = 2.0
_FILLED_S = 34.0  # a brain keeps half a minute of each robot's sound
_TALKING_S = 6.4  # one sentence in so long
_CARRIED_S, _CARRIED_FOR_S, _CARRIED = 3.2, 6.4, (20, 50, 80, 110, 140, 170, 200)
_LATE_MS = 100.0
_TURN_S, _TURNS = 2.56, 5
MANY = 20
_LIBRARIES = ("uvicorn", "websockets", "onnxruntime", "numpy")


def main() -> int:
    """Measure all; the figures go to `benchmarks/results`."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--seconds", type=float, default=20.0, help="of a row (default %(default)s)")
    p.add_argument("--out", type=Path, help="default: a file in benchmarks/results")
    args = p.parse_args()
    figures: dict[str, Any] = {
        "machine": {"cpu": platform.machine(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "load_average_before": os.getloadavg(),
        "seconds": args.seconds,
    }
    for name, measured in (
        ("silent", silent),
        ("talking", talking),
        ("overhead", overhead),
        ("carried", carried),
    ):
        print(f"{name} …", file=sys.stderr)
        figures[name] = measured(args.seconds)
        print(json.dumps({name: figures[name]}, indent=2))
    name = f"{time.strftime('%Y-%m-%d')}-listening-x86-{os.cpu_count()}cores.json"
    out = args.out or RESULTS / name
    out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"figures in {out.name}")
    return 0


# -- what a silent robot costs -----------------------------------------------------------------


def silent(seconds: float) -> dict[str, Any]:
    """CPU milliseconds a second, for each robot that is connected and silent."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, a_server("bare") as bare:
        address = ("--set", "SESSIONS_PER_ADDRESS=300", "--set", "DISCOVERY=0")
        with a_pocket_brain(Path(folder), *address) as child:
            child.until_ready(180)
            brain = Server(child.process.pid, child.address)
            empty_mb = brain.resident_mb()
            memory: dict[str, float] = {}
            for binary in (False, True):
                for count in (1, MANY):
                    floor = asyncio.run(_cost(bare, count, seconds / 2, binary=binary))
                    cost = asyncio.run(_cost(brain, count, seconds, binary=binary, memory=memory))
                    rows.append(
                        {
                            "robots": count,
                            "wire": "binary" if binary else "base64",
                            "brain": cost,
                            "bare_socket": floor,
                            "ratio": round(cost / floor, 2),
                        }
                    )
    # The first row that has as many is the one in which their memory is new.
    more_mb = (memory[str(MANY)] - memory["1"]) / (MANY - 1)
    return {
        "cpu_ms_a_second_a_robot": rows,
        "detector_ms_a_second": _detector(),
        "resident_mb": {"no_robot": round(empty_mb, 1), "a_robot": round(more_mb, 2)},
    }


async def _cost(
    server: Server,
    count: int,
    seconds: float,
    *,
    binary: bool,
    memory: dict[str, float] | None = None,
) -> float:
    frames = wire_frames(sounds.room(3.2), binary=binary)
    async with connected(server.address, count) as robots:
        if memory is not None and str(count) not in memory:
            await before(robots, frames, _FILLED_S)
            await asyncio.sleep(_WARM_UP_S)
            memory[str(count)] = server.resident_mb()
        await _at_rest(server)
        return await _cpu_ms(server, robots, frames, seconds)


async def _at_rest(server: Server) -> None:
    """As a session opens, the mind reads its instructions: once, and that is over soon."""
    for _ in range(20):
        spent = server.cpu_s()
        await asyncio.sleep(0.5)
        if server.cpu_s() - spent < 0.05:
            return


async def _cpu_ms(
    server: Server,
    robots: list[Robot],
    frames: list[bytes],
    seconds: float,
    over_s: float = 0.02,
) -> float:
    """CPU milliseconds a second for each of the robots, while they talk."""
    warm_up_s = max(_WARM_UP_S, over_s)
    talking = asyncio.ensure_future(talk(robots, frames, warm_up_s + seconds, over_s=over_s))
    await asyncio.sleep(warm_up_s)
    spent, began = server.cpu_s(), time.monotonic()
    await talking
    spent, took = server.cpu_s() - spent, time.monotonic() - began
    return round(1000 * spent / took / len(robots), 2)


def _detector() -> dict[str, float]:
    """Of the detector for one stream: a frame every 32 ms; one after another; ten at once."""
    detector = sounds.SileroDetector()
    frame_s = 0.032
    sound = np.random.default_rng(0).standard_normal((10, sounds.FRAME)).astype(np.float32) * 1e-3
    streams = [detector.new_stream() for _ in sound]

    def spent(count: int, times: int, pause_s: float) -> float:
        began = time.process_time()
        for _ in range(times):
            detector.probabilities(streams[:count], sound[:count])
            time.sleep(pause_s)
        return 1000 * (time.process_time() - began) / (times * count * frame_s)

    for _ in range(20):
        spent(10, 1, 0)
    return {
        "alone_at_real_time": round(spent(1, 100, frame_s), 2),
        "alone": round(min(spent(1, 50, 0) for _ in range(5)), 2),
        "ten_at_once": round(min(spent(10, 20, 0) for _ in range(5)), 2),
    }


# -- what one that talks costs -----------------------------------------------------------------


def talking(seconds: float) -> list[dict[str, Any]]:
    """The same for robots that say a sentence every few seconds, and hear a second's answer."""
    frames = wire_frames(sounds.speech(_TALKING_S), binary=False)

    async def row(brain: Server, count: int) -> dict[str, Any]:
        async with connected(brain.address, count) as robots:
            cost = await _cpu_ms(brain, robots, frames, seconds, over_s=_TALKING_S)
            turns = sum(len(robot.answered) for robot in robots)
            return {"robots": count, "cpu_ms_a_second_a_robot": cost, "turns": turns}

    with a_server("brain", "--letter", "0.08", "--tentative", "128") as brain:
        return [asyncio.run(row(brain, count)) for count in (1, MANY)]


# -- what the socket adds to a turn ------------------------------------------------------------


def overhead(seconds: float) -> dict[str, Any]:
    """Milliseconds from the end of the silence to the first sound of the answer, at the robot."""
    found = {}
    sound = sounds.speech(_TURN_S)
    turns = max(2, round(_TURNS * min(1.0, seconds / 20)))
    for name, tentative_ms in (("at_the_end", 0), ("ahead", 128)):
        with a_server("brain", "--letter", "0.02", "--tentative", str(tentative_ms)) as brain:
            expected = sounds.heard(sound, turns, house=house(tentative_ms))
            found[name] = asyncio.run(_turns(brain, sound, turns, expected))
    return found


async def _turns(
    brain: Server, sound: NDArray[np.int16], turns: int, expected: sounds.Heard
) -> dict[str, float]:
    frames = wire_frames(sound, binary=False)
    async with connected(brain.address, 4) as robots:
        await talk(robots, frames, turns * _TURN_S + _TURN_S / 2, over_s=_TURN_S / 2)
    taken = []
    for robot in robots:
        assert len(robot.answered) >= turns, f"{len(robot.answered)} answers to {turns} turns"
        for chunk, at in zip(expected.stopped, robot.answered, strict=False):
            taken.append(1000 * (at - robot.sent[chunk]))
    return {"turns": len(taken), **_spread(taken)}


# -- how many robots -----------------------------------------------------------------------------


def carried(seconds: float) -> dict[str, Any]:
    """More and more robots that talk, until the verdicts on their sound come too late."""
    rows: list[dict[str, Any]] = []
    lasting = max(_CARRIED_S, _CARRIED_FOR_S * min(1.0, seconds / 20))
    with a_server("brain", "--tentative", "128") as brain:
        sound = sounds.speech(_CARRIED_S)
        expected = sounds.heard(sound, int(lasting / _CARRIED_S) + 1, house=house(128))
        for count in _CARRIED:
            rows.append(asyncio.run(_late(brain, count, lasting, sound, expected)))
            if rows[-1]["p99_ms"] >= _LATE_MS:
                break
    most = max((row["robots"] for row in rows if row["p99_ms"] < _LATE_MS), default=0)
    return {"robots": most, "limit_ms": _LATE_MS, "rows": rows}


async def _late(
    brain: Server, count: int, seconds: float, sound: NDArray[np.int16], expected: sounds.Heard
) -> dict[str, Any]:
    """How late `speech_started` is, after the chunk which makes it certain."""
    frames = wire_frames(sound, binary=False)
    async with connected(brain.address, count) as robots:
        spent, began = brain.cpu_s(), time.monotonic()
        own = time.process_time()
        await talk(robots, frames, seconds + _CARRIED_S, over_s=_CARRIED_S)
        own = time.process_time() - own
        share = (brain.cpu_s() - spent) / (time.monotonic() - began)
        slow = (time.monotonic() - began) / (seconds + _CARRIED_S)
    late = [
        1000 * (at - robot.sent[chunk])
        for robot in robots
        for chunk, at in zip(expected.started, robot.started, strict=False)
    ]
    owed = sum(sum(chunk < len(robot.sent) - 25 for chunk in expected.started) for robot in robots)
    return {
        "robots": count,
        "turns": len(late),
        "unheard": max(0, owed - len(late)),
        **_spread(late),
        "brain_cores": round(share, 2),
        "robots_cores": round(own / (slow * (seconds + _CARRIED_S)), 2),
        "robots_slower": round(slow, 2),
    }


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {"median_ms": float("inf"), "p95_ms": float("inf"), "p99_ms": float("inf")}
    return {
        "median_ms": round(float(np.median(values)), 1),
        "p95_ms": round(float(np.percentile(values, 95)), 1),
        "p99_ms": round(float(np.percentile(values, 99)), 1),
    }


if __name__ == "__main__":
    sys.exit(main())
