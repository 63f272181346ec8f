"""`python -m benchmarks.fleet`: what a fleet survives, and what a robot costs its brain.

The simulation of `tests/e2e/fleet` (scripted engine servers on loopback; an engine server, a brain
and Redis killed under way), and a brain that holds no model with 0, 50 and 200 robots connected:
resident memory, and CPU while they are silent. The figures go to `results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from tests.e2e.fleet.simulation import (
    Plan,
    a_bare_brain,
    an_engine_server,
    cpu_s,
    settings,
    simulate,
)
from tests.e2e.pocket import Brain
from tests.history.redis_server import a_redis

RESULTS = Path(__file__).parent / "results"
ROBOTS = (0, 50, 200)
_LOOK_S = 10.0


def main() -> int:
    """Both; 1 if the simulation found a fault."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--typing", type=int, default=200, help="robots (default %(default)s)")
    p.add_argument("--speaking", type=int, default=10, help="robots (default %(default)s)")
    p.add_argument("--questions", type=int, default=6, help="of each (default %(default)s)")
    p.add_argument("--pause", type=float, default=6.0, help="seconds between (default %(default)s)")
    p.add_argument("--out", type=Path, help="default: a file in benchmarks/results")
    args = p.parse_args()
    plan = Plan(args.typing, args.speaking, args.questions, args.pause)
    with tempfile.TemporaryDirectory() as folder:
        outcome = simulate(Path(folder), plan)
    print(json.dumps(outcome.figures, indent=2))
    with tempfile.TemporaryDirectory() as folder:
        connected = asyncio.run(cost(Path(folder)))
    print(json.dumps(connected, indent=2))
    figures = {
        "machine": {"cpu": platform.machine(), "cores": os.cpu_count(),
                    "python": platform.python_version()},
        "load_average": os.getloadavg(),
        "simulation": outcome.figures,
        "connected": connected,
    }  # fmt: skip
    name = f"{time.strftime('%Y-%m-%d')}-fleet-{platform.machine()}-{os.cpu_count()}cores.json"
    out = args.out or RESULTS / name
    out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"figures in {out.name}")
    for fault in outcome.faults:
        print(f"fleet: {fault}", file=sys.stderr)
    return 1 if outcome.faults else 0


async def cost(folder: Path) -> list[dict[str, Any]]:
    """What a brain takes with so many silent robots, one entry a number."""
    found = []
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(a_redis(folder / "redis"))
        _, url = stack.enter_context(an_engine_server(folder, "1"))
        brain = stack.enter_context(a_bare_brain(folder, *settings(redis, [url])))
        brain.until_ready(180)
        async with contextlib.AsyncExitStack() as robots:
            there = 0
            for wanted in ROBOTS:
                for number in range(there, wanted):
                    address = f"{brain.address}?robot_id=r{number}"
                    robot = await robots.enter_async_context(connect(address, proxy=None))
                    await robot.recv()
                there = wanted
                found.append(await _looked_at(brain, there))
    return found


async def _looked_at(brain: Brain, robots: int) -> dict[str, Any]:
    await asyncio.sleep(2)
    before = cpu_s(brain.process.pid)
    await asyncio.sleep(_LOOK_S)
    spent = cpu_s(brain.process.pid) - before
    return {
        "robots": robots,
        "resident_mb": round(_resident_mb(brain.process.pid), 1),
        "cpu_ms_a_second": round(1000 * spent / _LOOK_S, 1),
    }


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
