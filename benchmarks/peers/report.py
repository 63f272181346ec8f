"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.peers.costs import FIXED, REPLY
from benchmarks.peers.figures import Figures
from benchmarks.peers.floors import first_clause_tokens
from benchmarks.peers.goals import Goal

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all but the first column are figures."""
    lines = [" | ".join(heads), " | ".join(["---"] + ["---:"] * (len(heads) - 1))]
    lines += [" | ".join(row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def voice_to_voice(rows: Sequence[tuple[str, Figures, float | None, int]]) -> str:
    """Of each row: what it is, its figures, its first turn (ms), and how many turns it had."""
    lines = [
        (
            about,
            f"{measured.median:.0f}" if measured.count else "-",
            f"{measured.p95:.0f}" if measured.count else "-",
            f"{first:.0f}" if first is not None else "-",
            f"{measured.count} of {turns}",
        )
        for about, measured, first, turns in rows
    ]
    heads = (
        "first sound after the last sample of speech, ms",
        "median",
        "p95",
        "first turn",
        "answered",
    )
    return table(heads, lines)  # fmt: skip


def in_ms(values: Mapping[str, Figures]) -> str:
    """Named figures."""
    lines = [
        (name, f"{f.median:.1f}", f"{f.p95:.1f}", f"{f.most:.1f}", str(f.count))
        for name, f in values.items()
        if f.count
    ]
    return table(("ms", "median", "p95", "most", "times"), lines)


def goals(found: Sequence[Goal]) -> str:
    """Whether each is met, by its figures."""
    lines = [
        (
            goal.name,
            f"{goal.figure:.2f} {goal.unit}".strip() if goal.measured else "-",
            f"{goal.limit:g} {goal.unit}".strip(),
            goal.verdict + (f" ({goal.note})" if goal.note else ""),
        )
        for goal in found
    ]
    return table(("goal", "measured", "at most", "verdict"), lines)


def how() -> str:
    """How it was measured, in a paragraph."""
    return (
        f"Engines of fixed cost, the same for all: ears {FIXED.stt * 1000:.0f} ms; language model"
        f" {FIXED.first_token * 1000:.0f} ms to its first token, then {FIXED.token * 1000:.0f} ms a"
        f" token; voice {FIXED.first_sound * 1000:.0f} ms to its first sound. The reply of all:"
        f" “{REPLY}” Ours begins to speak when token {first_clause_tokens(REPLY) + 1} shows that"
        " the first clause is complete. One robot speaks to all, in turns, in 20 ms frames at the"
        " pace of real time, with pink noise at -60 dBFS throughout; the clock runs from the"
        " sending of the last sample of speech (1 % of its loudest) to the first audible sample of"
        " the reply at the robot, each server over its own websocket on loopback. “Tuned” is 500 ms"
        " of silence and nothing else held back; “as shipped” has each server's own silence."
    )
