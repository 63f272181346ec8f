"""`python -m tools.pocket.held_out_overlap`: what of the held-out sets the training can make too.

The held-out wordings were written blind, the templates as well, and people say simple things alike:
some wordings are in both. They are listed in `brain/pocket/evaluation/trained_wordings.json` and
don't count as unseen. World states reach the mind as a few rounded lines, so two states may look
the same to it: those that look like one of the training are in `trained_plans.json`. Run it when
the templates have changed.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from brain.ops import check_data
from brain.ops.check_replies import plain
from brain.planner.prompt import world_text
from brain.planner.schema import PlanRequest
from tools.pocket.mind.dialogues import Dialogues
from tools.pocket.mind.intents import INTENTS
from tools.pocket.mind.plans import world
from tools.pocket.mind.wordings import Wordings

_HERE = Path(__file__).parent
_EACH = 15_000
_WORLDS = 60_000
_SEED = 5


def producible(each: int) -> set[str]:
    """Plain wordings out of `each` samples of every intent, as the training draws them."""
    dialogues = Dialogues(Wordings(_HERE / "mind/wordings"), _HERE / "repertoire.toml")
    rng = random.Random(_SEED)
    made: set[str] = set()
    for number, intent in enumerate(INTENTS, start=1):
        made.update(plain(dialogues.wording(intent.name, rng)[0]) for _ in range(each))
        if number % 10 == 0:
            print(f"{number}/{len(INTENTS)} intents", flush=True)
    return made


def worlds(count: int) -> set[str]:
    """`count` world states as the mind sees them, as the training draws them."""
    rng = random.Random(_SEED)
    return {world_text(world(rng)) for _ in range(count)}


def main() -> None:
    """Write both lists of ids."""
    made, seen = producible(_EACH), worlds(_WORLDS)
    rows = _rows("mind_unseen.jsonl")
    _write("trained_wordings.json", [r["id"] for r in rows if plain(r.get("text", "")) in made])
    states = [(r["id"], PlanRequest.model_validate(r["state"])) for r in _rows("plans.jsonl")]
    _write("trained_plans.json", [name for name, state in states if world_text(state) in seen])


def _rows(name: str) -> list[dict[str, Any]]:
    lines = (check_data.FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _write(name: str, ids: list[str]) -> None:
    text = json.dumps(ids, indent=1) + "\n"
    (check_data.FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{name}: {len(ids)}")


if __name__ == "__main__":
    main()
