"""The evaluation's data (`brain/pocket/evaluation`, described in its README) and its samples."""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from brain.engines.ports import ToolSpec
from brain.ops.check_figures import Bound

FOLDER = Path(__file__).parents[1] / "pocket/evaluation"
_SAMPLE_SEED = 20261120

Row = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Evaluation:
    """Everything that the models are measured on.

    repertoire: what was taught (`text`, `intent`, `tools`, `expect`); the other rows are held out.
    trained: ids of held-out wordings that the training could make all the same, and of world
    states that look to the mind like one of the training.
    replies: the pocket mind's sentences by kind; ears: the recipe `ears.toml`; bounds: targets and
    floors by figure; clauses: replies to be said clause by clause; odd_texts: any text at all.
    """

    repertoire: tuple[Row, ...]
    unseen: tuple[Row, ...]
    trained: frozenset[str]
    conversations: tuple[Row, ...]
    plans: tuple[Row, ...]
    tools: Mapping[str, ToolSpec]
    replies: Mapping[str, tuple[str, ...]]
    ears: Row
    clauses: tuple[tuple[str, ...], ...]
    odd_texts: tuple[str, ...]
    bounds: Mapping[str, Bound]


def read(folder: Path = FOLDER) -> Evaluation:
    """Read the evaluation. Raises `OSError` and `ValueError` when a file is missing or broken."""
    tools = [
        ToolSpec(t["name"], t["description"], t["parameters"]) for t in _json(folder / "tools.json")
    ]
    targets = _toml(folder / "targets.toml")
    floors = _json(folder / "floors.json")
    mouth = _json(folder / "mouth.json")
    return Evaluation(
        repertoire=tuple(_json(folder / "repertoire.json")),
        unseen=_rows(folder / "mind_unseen.jsonl"),
        trained=frozenset(
            _json(folder / "trained_wordings.json") + _json(folder / "trained_plans.json")
        ),
        conversations=_rows(folder / "conversations.jsonl"),
        plans=_rows(folder / "plans.jsonl"),
        tools={tool.name: tool for tool in tools},
        replies={kind: tuple(said) for kind, said in _json(folder / "replies.json").items()},
        ears=_toml(folder / "ears.toml"),
        clauses=tuple(tuple(clauses) for clauses in mouth["clauses"]),
        odd_texts=tuple(mouth["odd_texts"]),
        bounds={key: Bound(targets.get(key), floors.get(key)) for key in (*targets, *floors)},
    )


def sample(items: Sequence[T], count: int | None) -> list[T]:
    """`count` of `items`, always the same ones, in their order; all for None or too few."""
    if count is None or count >= len(items):
        return list(items)
    chosen = random.Random(_SAMPLE_SEED).sample(range(len(items)), count)
    return [items[i] for i in sorted(chosen)]


def _rows(path: Path) -> tuple[Row, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines if line.strip())


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _toml(path: Path) -> Row:
    # The parser came into the standard library with Python 3.11.
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    parsed: Row = parser.loads(path.read_text(encoding="utf-8"))
    return parsed
