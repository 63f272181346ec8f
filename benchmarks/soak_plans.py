"""`python -m benchmarks.soak_plans`: 10 000 plans, without the cache and then with it.

A pocket brain of its own is asked for plans by `robot-client`'s simulator over hours of robots'
lives. No plan may be out of the contract, no line may come twice in a row, and the brain's resident
memory in the last quarter may not be above that in the second. The figures go to `results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robot_client.memory import Memory
from robot_client.simulation import Options, simulate
from robot_client.tally import Tally
from tests.e2e.pocket import a_pocket_brain

RESULTS = Path(__file__).parent / "results"
# The allocator's own breathing; a leak of a kilobyte a plan would be ten.
LEAK_MB = 5.0
FAILED_SHARE = 0.001


def main() -> int:
    """Both soaks; 1 if anything is wrong with either."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--plans", type=int, default=10_000, help="of each soak (default %(default)s)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, help="default: a file in benchmarks/results")
    args = p.parse_args()
    soaks = {
        "without_cache": soak(args.plans, args.seed, "PLAN_CACHE_ENTRIES=0"),
        "with_cache": soak(args.plans, args.seed),
    }
    wrong = [f"{name}: {fault}" for name, soak in soaks.items() for fault in soak["faults"]]
    out = args.out or RESULTS / _name()
    out.write_text(json.dumps({"machine": _machine(), **soaks}, indent=2) + "\n", encoding="utf-8")
    print(f"figures in {out.name}")
    for line in wrong:
        print(f"soak: {line}", file=sys.stderr)
    return 1 if wrong else 0


def soak(plans: int, seed: int, *settings: str) -> dict[str, Any]:
    """One soak of a brain with these settings (NAME=VALUE): its figures, and `faults` as text."""
    arguments = [word for setting in settings for word in ("--set", setting)]
    with (
        tempfile.TemporaryDirectory() as folder,
        a_pocket_brain(Path(folder), *arguments) as brain,
    ):
        brain.until_ready()
        memory = Memory(brain.process.pid)
        options = Options(f"http://127.0.0.1:{brain.port}", plans=plans, seed=seed)
        tally = asyncio.run(simulate(options, memory=memory, on_progress=_progress(plans)))
        figures = {"settings": list(settings), **tally.as_json(), "memory": memory.as_json()}
    print("\n".join(tally.lines()))
    print(f"memory    {figures['memory']}")
    return {**figures, "faults": faults(tally, memory, plans)}


def faults(tally: Tally, memory: Memory, plans: int) -> list[str]:
    """What is wrong with a soak; empty if nothing is."""
    failed = plans - tally.answered
    checks = {
        f"out of the contract: {dict(tally.invalid)} {tally.examples}": not tally.invalid,
        f"world states refused: {dict(tally.refused)}": not tally.refused,
        f"{failed} plans failed: {dict(tally.failed)}": failed <= plans * FAILED_SHARE,
        f"{tally.repeats} lines twice in a row": not tally.repeats,
        f"memory grew by {memory.growth_mb():.1f} MB": memory.growth_mb() <= LEAK_MB,
    }
    return [fault for fault, holds in checks.items() if not holds]


def _progress(plans: int) -> Callable[[Tally], None]:
    def show(tally: Tally) -> None:
        print(f"\r{100 * tally.asked // plans:3} %  {tally.progress()}", end="", flush=True)

    return show


def _machine() -> dict[str, Any]:
    return {
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "date": dt.date.today().isoformat(),
    }


def _name() -> str:
    machine = _machine()
    where = f"{machine['architecture']}-{machine['cores']}cores"
    return f"{machine['date']}-soak-plans-pocket-{where}.json"


if __name__ == "__main__":
    sys.exit(main())
