"""`brain bench plan`: what the brain itself adds to the language model's time for a plan.

A brain of its own, without its cache of plans, is asked over a real socket, one plan at a time, for
the world states of the evaluation. Our own time is the client's wall time less what `Server-Timing`
says of the engine: from the call of the language model's port to its last token, every attempt
together. What the lane and the ladder do while the model computes is in the engine's time; HTTP,
JSON, checks, repair and rules are in ours.
"""

from __future__ import annotations

import http.client
import json as json_text
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console

from brain.ops import check_data
from brain.ops.child_brain import child_brain
from brain.settings import Settings

TARGET_MS = 5.0
PLANS = 60
_PATIENCE_S = 120
_TIMING = re.compile(r"\bengine;dur=([\d.]+), total;dur=([\d.]+)")


@dataclass(frozen=True)
class Measured:
    """One plan that was measured, in ms: at the client, in the server's route, at the engine."""

    trigger: str
    actions: int
    wall_ms: float
    server_ms: float
    engine_ms: float

    @property
    def own_ms(self) -> float:
        """What isn't the engine's."""
        return self.wall_ms - self.engine_ms

    @property
    def own_in_server_ms(self) -> float:
        """The part of it between the request's head and the answer's, without the sockets."""
        return self.server_ms - self.engine_ms


def run(settings: Settings, *, json: bool, plans: int = PLANS) -> int:
    """Measure `plans` plans of the profile and print them; 1 if the median misses the target."""
    console = Console(stderr=True)
    try:
        states = [row["state"] for row in check_data.read().plans]
        with (
            console.status("starting a brain") as status,
            child_brain(settings, {"PLAN_CACHE_ENTRIES": "0"}) as (host, port),
        ):
            began = time.perf_counter()
            measured, refused = _measure(host, port, states, plans, status.update)
            seconds = time.perf_counter() - began
    except (OSError, ValueError, RuntimeError, http.client.HTTPException) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if not measured:
        print(f"bench: no plan at all: {dict(refused)}", file=sys.stderr)
        return 1
    own = [plan.own_ms for plan in measured]
    in_server = [plan.own_in_server_ms for plan in measured]
    engine = [plan.engine_ms for plan in measured]
    figures: dict[str, Any] = {
        "profile": settings.brain_profile,
        "plans": len(measured),
        "refused": dict(refused),
        "own_median_ms": round(float(np.median(own)), 2),
        "own_p95_ms": round(float(np.percentile(own, 95)), 2),
        "server_median_ms": round(float(np.median(in_server)), 2),
        "engine_median_ms": round(float(np.median(engine)), 1),
        "engine_p95_ms": round(float(np.percentile(engine, 95)), 1),
        "plans_per_s": round(len(measured) / seconds, 2),
        "target_ms": TARGET_MS,
        "met": bool(np.median(own) <= TARGET_MS),
    }
    if json:
        print(json_text.dumps({**figures, "each": [asdict(plan) for plan in measured]}, indent=2))
    else:
        _show(figures)
    return 0 if figures["met"] else 1


def _measure(
    host: str,
    port: int,
    states: Sequence[check_data.Row],
    plans: int,
    progress: Callable[[str], None],
) -> tuple[list[Measured], Counter[str]]:
    """The plans that came, and how many were refused, by status and code."""
    measured: list[Measured] = []
    refused: Counter[str] = Counter()
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)
    try:
        for i in range(plans + 1):  # the first one warms up
            progress(f"plan {i} of {plans}")
            state = {**states[i % len(states)], "seq": i}
            body = json_text.dumps(state).encode()
            began = time.perf_counter()
            connection.request("POST", "/plan", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            wall_ms = 1000 * (time.perf_counter() - began)
            told = json_text.loads(content)
            if answer.status != 200:
                refused[f"{answer.status} {told.get('error', '')}"] += 1
            elif i:
                timing = _TIMING.search(answer.headers.get("Server-Timing", ""))
                if timing is None:
                    raise RuntimeError("the brain doesn't tell the engine's time")
                trigger, count = str(state.get("trigger", "heartbeat")), len(told["actions"])
                server_ms, engine_ms = float(timing[2]), float(timing[1])
                measured.append(Measured(trigger, count, round(wall_ms, 3), server_ms, engine_ms))
    finally:
        connection.close()
    return measured, refused


def _show(figures: dict[str, Any]) -> None:
    Console().print(
        f"{figures['plans']} plans of the profile {figures['profile']}, one at a time, "
        f"without cache: {figures['plans_per_s']} a second\n"
        f"engine: median {figures['engine_median_ms']} ms, p95 {figures['engine_p95_ms']} ms\n"
        f"our own time on top: median {figures['own_median_ms']} ms, "
        f"p95 {figures['own_p95_ms']} ms "
        f"({figures['server_median_ms']} ms of it in the route); "
        f"target <= {TARGET_MS:g} ms (median): {'met' if figures['met'] else 'MISSED'}",
        highlight=False,
    )
    if figures["refused"]:
        Console().print(f"refused: {figures['refused']}", highlight=False)
