"""What came of a simulation: counted while it runs, told as JSON or as lines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_client.limits import Verdict, key
from robot_client.plans import Action, Plan, Say

EXAMPLES = 5
LINES = 10


@dataclass
class Tally:
    """Counts over all robots. `invalid` are answers out of the contract; there may be none."""

    asked: int = 0
    answered: int = 0
    empty: int = 0
    busy: int = 0
    stale: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    triggers: Counter[str] = field(default_factory=Counter)
    offered: Counter[tuple[str, str]] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    cooled: Counter[str] = field(default_factory=Counter)
    spoken: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    lived_ms: int = 0
    examples: list[str] = field(default_factory=list)

    def answer(self, plan: Plan, verdict: Verdict, latency_ms: float, last_line: str) -> str:
        """A plan came. `last_line` is what this robot was last given to say; returns the new one.

        Lines are compared as the limits do. A line that is given twice in a row is a repeat,
        whether or not a cooldown kept it from being spoken.
        """
        self.answered += 1
        self.empty += not plan.actions
        self.stale += verdict.stale
        self.latencies_ms.append(latency_ms)
        for action in plan.actions:
            self.offered[action.kind, _name(action)] += 1
            if isinstance(action, Say):
                self.repeats += key(action) == last_line
                last_line = key(action)
        self.done.update(action.kind for action in verdict.done)
        self.spoken.update(action.text for action in verdict.done if isinstance(action, Say))
        if not verdict.stale:
            self.cooled.update(action.kind for action in verdict.dropped)
        return last_line

    def wrong(self, field: str, why: str) -> None:
        """An answer was out of the contract."""
        # Actions are counted by what is wrong with them, not by their place.
        self.invalid[field.partition("]")[2].lstrip(".") or field] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{field}: {why}")

    @property
    def good(self) -> bool:
        """Whether there were plans, all of them within the contract, and no state was refused."""
        return bool(self.answered) and not self.invalid and not self.refused

    def latency(self) -> dict[str, float]:
        """Percentiles in ms, as the robot sees them; empty without an answer."""
        if not self.latencies_ms:
            return {}
        values = np.percentile(self.latencies_ms, [50, 95, 99, 100])
        return {
            name: round(float(value), 1)
            for name, value in zip(("p50", "p95", "p99", "max"), values, strict=True)
        }

    def as_json(self) -> dict[str, Any]:
        """All of it, but each latency."""
        actions: dict[str, dict[str, int]] = {}
        for (kind, name), count in self.offered.most_common():
            actions.setdefault(kind, {})[name] = count
        return {
            "good": self.good,
            "hours_lived": round(self.lived_ms / 3_600_000, 2),
            "asked": self.asked,
            "answered": self.answered,
            "empty": self.empty,
            "busy": self.busy,
            "failed": dict(self.failed),
            "refused": dict(self.refused),
            "invalid": dict(self.invalid),
            "invalid_examples": self.examples,
            "stale": self.stale,
            "triggers": dict(self.triggers.most_common()),
            "actions": actions,
            "done": dict(self.done),
            "dropped_by_cooldown": dict(self.cooled),
            "lines": dict(self.spoken.most_common(LINES)),
            "different_lines": len(self.spoken),
            "lines_repeated_in_a_row": self.repeats,
            "latency_ms": self.latency(),
        }

    def progress(self) -> str:
        """One short line, while it runs."""
        return (
            f"{self.lived_ms / 3_600_000:.1f} h lived, {self.asked} plans asked, "
            f"{self.answered} answered, {self.busy} busy, {sum(self.failed.values())} failed, "
            f"{sum(self.invalid.values())} invalid"
        )

    def lines(self) -> Iterator[str]:
        """All of it for a person."""
        yield f"lived     {self.lived_ms / 3_600_000:.1f} h of robots' lives"
        yield (
            f"plans     {self.asked} asked, {self.answered} answered ({self.empty} of them empty), "
            f"{self.busy} busy"
        )
        yield f"failed    {_counts(self.failed)}"
        yield f"refused   {_counts(self.refused)}"
        yield f"invalid   {_counts(self.invalid)}"
        yield from (f"          {example}" for example in self.examples)
        for kind in ("emote", "gesture", "skill", "say"):
            names = Counter({n: c for (k, n), c in self.offered.items() if k == kind})
            shown = f": {_counts(names)}" if kind != "say" else ""
            yield (
                f"{kind:9} {names.total()} planned, {self.done[kind]} done, "
                f"{self.cooled[kind]} dropped by a cooldown{shown}"
            )
        yield f"too late  {self.stale} plans came after their time"
        yield f"lines     {len(self.spoken)} different; given twice in a row: {self.repeats} times"
        yield from (f"  {count:5}   {text}" for text, count in self.spoken.most_common(LINES))
        latency = ", ".join(f"{name} {value:g}" for name, value in self.latency().items())
        yield f"latency   {f'{latency} ms' if latency else 'no answer'}"


def _name(action: Action) -> str:
    return "" if isinstance(action, Say) else action.name


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "none"
