"""The pocket mind as a brain runs it, and what `prefix_cache` and `batching` share besides."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from brain.engines.hangs import GivenUpOnce
from brain.engines.lane_ports import LaneLanguageModel
from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.recipes import POCKET, language_model_rungs
from brain.settings import Settings

RESULTS = Path(__file__).parent / "results"
LOOKS_BACK = 2048
"""Tokens: as far as the pocket mind was trained to."""
INFLIGHT = 4
SEQUENCES = INFLIGHT + 4
"""What LLM_MAX_INFLIGHT makes of it: four more conversations stay cached."""


def settings(**changes: Any) -> Settings:
    """Those of a brain on the pocket mind's file, four answers at once, and room for each of its
    conversations. By the file's path: so the settings say how it is run, as for any GGUF, and it
    is told as long a history as fits."""
    known: dict[str, Any] = {
        "llm_backend": "llamacpp",
        "llm_model_path": str(POCKET / "mind.gguf"),
        "llm_gpu_layers": 0,
        "llm_temperature": 0.0,
        "llm_max_inflight": INFLIGHT,
        "llm_context": LOOKS_BACK * SEQUENCES,
    }
    return Settings(**{**known, **changes})


@asynccontextmanager
async def a_mind(chosen: Settings) -> AsyncIterator[tuple[LaneLanguageModel, LlamaCppMind]]:
    """The mind of these settings behind its lane, and the engine itself; closed afterwards."""
    lane = await language_model_rungs(chosen)[0].build(GivenUpOnce())
    assert isinstance(lane, LaneLanguageModel)
    engine = lane.lane.engine
    assert isinstance(engine, LlamaCppMind)
    try:
        yield lane, engine
    finally:
        await lane.close()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, median, 95th percentile and most of some times, ms."""
    ordered = sorted(values)
    return {
        "min": round(ordered[0], 2),
        "median": round(statistics.median(ordered), 2),
        "p95": round(percentile(ordered, 0.95), 2),
        "max": round(ordered[-1], 2),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in rising order."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def write(name: str, figures: dict[str, Any], out: Path | None) -> None:
    """Put the figures, and where and beside what they were taken, into `results/`."""
    machine = {
        "date": time.strftime("%Y-%m-%d"),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
    file = out or RESULTS / (
        f"{machine['date']}-{name}-pocket-{machine['architecture'].replace('_64', '')}"
        f"-{machine['cores']}cores.json"
    )
    text = json.dumps({"machine": machine, **figures}, indent=2)
    file.write_text(f"{text}\n", encoding="utf-8")
    print(f"figures in {file.name}")
