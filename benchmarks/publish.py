"""What a run of `make bench` says to a user: the table of the README, and a line of RESULTS.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers.figures import Figures
from benchmarks.peers.goals import Goal
from benchmarks.peers.report import table

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"

_LINES = (
    ("as shipped", ("ours", "pipecat", "s2s")),
    (
        "turns that end after 500 ms of silence, spoken by sentence",
        ("ours", "pipecat-sentence", "s2s-sentence"),
    ),
    ("the same, spoken or heard as it comes", ("ours-partials", "pipecat-token", "")),
    (
        "the same, with engines that cost nothing",
        ("ours-zero", "pipecat-zero", "s2s-zero"),
    ),
)  # fmt: skip


def for_users(rows: Mapping[str, Figures], *, report: str) -> str:
    """The README's part: medians, and 95th percentiles in brackets. `report`: where it is written
    how they came about."""
    lines = [
        (what, *(str(rows[name]) if name in rows else "-" for name in names))
        for what, names in _LINES
    ]
    heads = ("last speech to first sound, ms", "Robot Brain", "pipecat", "speech-to-speech")
    said = (
        "Measured at the robot on two cores, engines of the same cost behind all three (ears\n"
        "150 ms, a language model 200 ms and 25 ms a token, a voice 100 ms); median (95th\n"
        f"percentile). [The report]({report}), [how](benchmarks/README.md#beside-the-peers);\n"
        "`make bench` does it again."
    )
    return f"{table(heads, lines)}\n\n{said}\n"


def placed(text: str, part: str) -> str:
    """`text` with `part` between its marks. Raises `ValueError` where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no {BEGIN} … {END} to put the table in")
    return f"{before}{BEGIN}\n{part}{END}{after}"


def line(date: str, machine: str, rows: Mapping[str, Figures], goals: Sequence[Goal]) -> str:
    """RESULTS.md's, about the run as a whole."""
    said = "; ".join(f"{name} {measured} ms" for name, measured in rows.items() if measured.count)
    judged = "; ".join(
        f"{goal.name}: {goal.figure:.2f} {goal.unit} (at most {goal.limit:g}), {goal.verdict}"
        for goal in goals
        if not math.isnan(goal.figure)
    )
    return f"| {date} | {machine} | `make bench` | {said}. {judged} |\n"


def with_line(text: str, row: str) -> str:
    """`text` with a row more at the end of its first table; at its own end, if it has none."""
    lines = text.splitlines(keepends=True)
    rows = [line.startswith("|") for line in lines]
    begin = rows.index(True) if any(rows) else len(lines)
    end = rows.index(False, begin) if False in rows[begin:] else len(lines)
    return "".join([*lines[:end], row, *lines[end:]])


def publish(
    root: Path, report: Path, date: str, machine: str,
    rows: Mapping[str, Figures], goals: Sequence[Goal],
) -> None:  # fmt: skip
    """Write both. `report`: the run's own page, below `root`."""
    readme, results = root / "README.md", root / "benchmarks/RESULTS.md"
    made = for_users(rows, report=report.relative_to(root).as_posix())
    readme.write_text(placed(readme.read_text(encoding="utf-8"), made), encoding="utf-8")
    text = with_line(results.read_text(encoding="utf-8"), line(date, machine, rows, goals))
    results.write_text(text, encoding="utf-8")
