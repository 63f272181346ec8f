"""The parts of `make bench`, in their order. Each gives its sections of the report, its goals and
its figures; a part that isn't there, or breaks, says so in the report and costs no other."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.peers import barge_in, first_turns, goals, overlap, report, voice_to_voice
from benchmarks.peers.figures import Figures, figures
from benchmarks.peers.goals import Goal
from benchmarks.peers.overlap import Staged
from benchmarks.peers.rows import chosen

Progress = Callable[[str], None]

_STARTS = 5
_PATIENCE_S = 900

MODULES = (
    ("Cost of listening", "benchmarks.listening"),
    ("Prefix cache", "benchmarks.prefix_cache"),
    ("Continuous batching", "benchmarks.batching"),
    ("End-pointing", "benchmarks.endpointing"),
    ("Echo", "benchmarks.echo"),
)
"""Parts that are programs of their own, where they exist: what they print goes into the report."""


@dataclass(frozen=True)
class Asked:
    """What is to be measured. `kinds`: the servers that are there. `only`: rows, by the beginning
    of their names."""

    turns: int
    kinds: Sequence[str]
    only: Sequence[str] = ()


@dataclass
class Found:
    """What a part has to say. `rows`: by their names. `bars` and `staged` are for the picture."""

    sections: list[tuple[str, str]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Figures] = field(default_factory=dict)
    bars: list[tuple[str, str, Figures]] = field(default_factory=list)
    staged: list[Staged] = field(default_factory=list)


def beside_the_peers(asked: Asked, progress: Progress) -> Found:
    """Voice to voice, and what `/ws` costs on top of the engines."""
    rows = chosen(asked.only, asked.kinds)
    results = voice_to_voice.measure(rows, asked.turns, progress)
    by_name = {result.row.name: result for result in results}
    measured = {name: result.figures for name, result in by_name.items()}
    own = {
        name: figures(result.own_ms) for name, result in by_name.items() if result.own_ms
    }  # fmt: skip
    lines = [
        (result.row.about, result.figures, result.first_ms, len(result.turns)) for result in results
    ]
    found = Found(
        sections=[
            ("Voice to voice", report.voice_to_voice(lines) + _failures(results)),
            (
                "What our server takes beyond the silence and its engines",
                "Per turn: the robot's measure, less the sum along the critical path, which is"
                " found by sending the robot's sound through the voice detector and the turn"
                " machine once more, without a clock.\n\n"
                + report.in_ms({by_name[name].row.about: f for name, f in own.items()}),
            ),
        ],
        goals=[
            *goals.of_rows(measured),
            *goals.of_own(
                *(by_name[n].own_ms if n in by_name else [] for n in ("ours-zero", "ours"))
            ),
        ],
        rows=measured,
        bars=[(result.row.kind, result.row.about, result.figures) for result in results],
    )
    found.figures["voice_to_voice"] = {
        name: {
            "about": result.row.about,
            **asdict(result.figures),
            "first_ms": result.first_ms,
            "each_ms": [turn.latency_ms for turn in result.turns],
            "own_ms": result.own_ms,
            "turn_over_ms": result.end_ms,
            "failed": result.failed,
        }
        for name, result in by_name.items()
    }
    return found


def first_and_tenth(asked: Asked, progress: Progress) -> Found:
    """The first turn after the start."""
    result = first_turns.measure(min(_STARTS, asked.turns), progress)
    both = {"first turn": figures(result.first), "tenth turn": figures(result.tenth)}
    return Found(
        sections=[("The first turn after the start, and the tenth", report.in_ms(both))],
        goals=[goals.of_first_turns(result.first, result.tenth)],
        figures={"first_turns": asdict(result)},
    )


def interruptions(asked: Asked, progress: Progress) -> Found:
    """Barge-in."""
    result = barge_in.measure(asked.turns, progress)
    note = (
        "From the first sample of the interruption, over a long reply; 300 ms of certain speech"
        f" (`BARGE_IN_MS`) are part of it. Missed: {result.missed} of {asked.turns}.\n\n"
    )
    return Found(
        sections=[("Barge-in", note + report.in_ms(result.rows()))],
        figures={"barge_in": asdict(result)},
    )


def pocket_models(asked: Asked, progress: Progress) -> Found:
    """The real engines that are always there, stage by stage."""
    turns = overlap.measure(asked.turns, progress)
    if not turns:
        raise RuntimeError("no turn was answered")
    middle = overlap.typical(turns)
    lines = [("the detector lets go", f"{middle.let_go:.0f}")]
    lines += [(stage, f"{ms:.0f}") for stage, ms in middle.timings.items()]
    lines.append(("first sound at the robot", f"{middle.total:.0f}"))
    return Found(
        sections=[
            (
                "The pocket models, stage by stage",
                "Medians; `ahead`: so long before the end of the silence it was begun.\n\n"
                + report.table(("ms", "median"), lines),
            )
        ],
        figures={"pocket": [asdict(turn) for turn in turns]},
        staged=turns,
    )


PARTS: tuple[tuple[str, Callable[[Asked, Progress], Found]], ...] = (
    ("peers", beside_the_peers),
    ("first", first_and_tenth),
    ("barge-in", interruptions),
    ("pocket", pocket_models),
)


def module(title: str, name: str, progress: Progress) -> Found | None:
    """Run a part that is a program of its own; None if there is none. Raises `RuntimeError` if it
    fails."""
    if importlib.util.find_spec(name) is None:
        return None
    progress(f"{name}")
    command = [sys.executable, "-m", name]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )  # fmt: skip
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip()[-1000:]
        raise RuntimeError(f"it ended with status {ran.returncode}: {said}")
    said = ran.stdout.strip() or ran.stderr.strip()[-2000:]
    text = f"`python -m {name}`:\n\n```\n{said}\n```"
    return Found(sections=[(title, text)], figures={name: said})


def _failures(results: Sequence[voice_to_voice.RowResult]) -> str:
    return "".join(
        f"\n\n**{result.row.about}: not measured.** {result.failed.splitlines()[0]}"
        for result in results
        if result.failed
    )
