"""`python -m tools.pocket.mind.intents_page`: prints `tools/pocket/intents.md`."""

from __future__ import annotations

import json
from pathlib import Path

from tools.pocket.mind.intents import INTENTS, Intent
from tools.pocket.mind.replies import REPLIES, SLOTS

_TEXTS = Path(__file__).parent / "intents_page_texts"


def page() -> str:
    """The whole page: its fixed texts, the table of intents, the kinds of reply."""
    fixed = {path.stem: path.read_text("utf-8").rstrip("\n") for path in _TEXTS.glob("*.md")}
    kinds = [f"- **{kind}**: " + " · ".join(said) for kind, said in REPLIES.items()]
    return "\n".join(
        [
            fixed["head"],
            *map(_row, INTENTS),
            fixed["tools"],
            *kinds,
            "",
            _slots(),
            fixed["plans"],
            "",
        ]
    )


def _row(intent: Intent) -> str:
    calls = " / ".join(f"`{call.tool}` `{json.dumps(call.args)}`" for call in intent.calls)
    after = " / ".join(call.done for call in intent.calls)
    cells = (intent.name, intent.meaning, calls or "none", intent.reply, after)
    return "| " + " | ".join(cells) + " |"


def _slots() -> str:
    open_ended = ("thing", "time")
    lists = (
        f"`{slot}`: {', '.join(values)}"
        + (" (or whatever the tool said)" if slot in open_ended else "")
        for slot, values in SLOTS.items()
    )
    return f"Slots: {'; '.join(lists)}."


if __name__ == "__main__":
    print(page(), end="")
