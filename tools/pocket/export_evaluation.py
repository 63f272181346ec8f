"""`python -m tools.pocket.export_evaluation`: what the mind was taught, for `brain models check`.

Writes `repertoire.json` (every phrasing with tools on offer and the right answer) and
`replies.json` (every sentence by kind) into `brain/pocket/evaluation/`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import tomllib

from brain.ops import check_data
from tools.pocket.mind.dialogues import _answer_in
from tools.pocket.mind.intents import BY_NAME, Intent
from tools.pocket.mind.replies import NUMBER_WORDS, REPLIES, SOUNDS

_REPERTOIRE = Path(__file__).parent / "repertoire.toml"
_SEED = 7
_MOST_TOOLS = 14
# A right answer without a word before it in the conversation.
_AT_FIRST = {"recall_name": "recall_name_unknown", "recall_color": "recall_color_unknown"}
_SLOT = {"sum": "number", "my_name_is": "name", "user_color": "color"}


def offer(intent: Intent, number: int, known: list[str], rng: random.Random) -> list[str]:
    """Names of the tools on offer for phrasing `number`: the needed ones three times in four."""
    needed = [call.tool for call in intent.calls]
    others = [name for name in known if name not in needed]
    if needed and number % 4:
        count = rng.choice([0, 3, 6, _MOST_TOOLS - 1])
        chosen = [needed[0], *rng.sample(others, min(count, len(others)))]
    else:
        chosen = rng.sample(others, rng.choice([0, 2, 5, 8]))
    rng.shuffle(chosen)
    return chosen


def expected(intent: Intent, phrase: str, tools: list[str]) -> dict[str, Any]:
    """The right answer to `phrase`, said first in a session that offers `tools`."""
    answer = _answer_in(intent.name, phrase)
    call = next((c for c in intent.calls if c.tool in tools), None)
    if call is not None and intent.name != "other_way":
        arguments = {k: int(answer) if v == "NUMBER" else v for k, v in call.args.items()}
        if call.tool == "camera":
            arguments["question"] = "*"
        return {"call": {"name": call.tool, "arguments": arguments}}
    expect: dict[str, Any] = {"reply": _AT_FIRST.get(intent.name, intent.reply)}
    if intent.name in _SLOT:
        expect["slots"] = {_SLOT[intent.name]: answer}
    elif intent.name == "animal_sound":
        expect["matches"] = f"a {answer} says {SOUNDS[answer]}"
    elif intent.name in ("count_up", "count_down"):
        words = list(NUMBER_WORDS[1 : int(answer) + 1])
        expect["matches"] = " ".join(words if intent.name == "count_up" else reversed(words))
    return expect


def main() -> None:
    """Write both files."""
    rng = random.Random(_SEED)
    known = [tool["name"] for tool in json.loads(_text("tools.json"))]
    rows = []
    for entry in tomllib.loads(_REPERTOIRE.read_text(encoding="utf-8"))["intent"]:
        intent = BY_NAME[entry["name"]]
        for phrase in entry["phrasings"]:
            tools = offer(intent, len(rows), known, rng)
            expect = expected(intent, phrase, tools)
            rows.append({"text": phrase, "intent": intent.name, "tools": tools, "expect": expect})
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    _write("repertoire.json", f"[\n{lines}\n]\n")
    _write("replies.json", json.dumps({k: list(v) for k, v in REPLIES.items()}, indent=1) + "\n")
    print(f"{len(rows)} phrasings, {len(REPLIES)} kinds of reply")


def _text(name: str) -> str:
    return (check_data.FOLDER / name).read_text(encoding="utf-8")


def _write(name: str, text: str) -> None:
    (check_data.FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
