"""The lists that the ears and the mind share say the same, and the training text is sound."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="the training tools need Python 3.11")

from brain.planner.schema import PlanOutput  # noqa: E402
from tools.pocket.mind.dialogues import Dialogues  # noqa: E402
from tools.pocket.mind.intents import INTENTS  # noqa: E402
from tools.pocket.mind.intents_page import page  # noqa: E402
from tools.pocket.mind.plans import plan, world  # noqa: E402
from tools.pocket.mind.replies import REPLIES, filled  # noqa: E402
from tools.pocket.mind.wordings import Wordings  # noqa: E402

_TOOLS = Path(__file__).parents[2] / "tools/pocket"
_REPERTOIRE = tomllib.loads((_TOOLS / "repertoire.toml").read_text("utf-8"))


def test_the_ears_learn_every_sentence_of_the_mind() -> None:
    assert _REPERTOIRE["replies"] == filled()


def test_every_intent_has_phrasings_wordings_and_replies() -> None:
    names = {intent.name for intent in INTENTS}
    assert {entry["name"] for entry in _REPERTOIRE["intent"]} == names
    assert set(Wordings(_TOOLS / "mind/wordings").patterns) == names
    kinds = {intent.reply for intent in INTENTS}
    kinds |= {call.done for intent in INTENTS for call in intent.calls}
    assert kinds <= set(REPLIES)


def test_the_repertoire_is_as_large_as_was_asked() -> None:
    phrases = [phrase for entry in _REPERTOIRE["intent"] for phrase in entry["phrasings"]]
    assert len(_REPERTOIRE["intent"]) >= 60
    assert len(set(phrases)) == len(phrases) >= 230


def test_training_conversations_call_only_what_is_offered() -> None:
    talk = Dialogues(Wordings(_TOOLS / "mind/wordings"), _TOOLS / "repertoire.toml")
    rng = random.Random(1)
    calls = 0
    for _ in range(400):
        one = talk.conversation(rng)
        offered = {tool.name: tool.parameters.get("properties", {}) for tool in one.tools}
        for message in one.messages:
            assert "$" not in message.content
            for call in message.tool_calls:
                calls += 1
                assert json.loads(call.arguments).keys() <= offered[call.name].keys()
    assert calls > 100


def test_taught_plans_are_valid_and_careful() -> None:
    rng = random.Random(2)
    for _ in range(500):
        request = world(rng)
        taught = PlanOutput.model_validate(plan(request))
        skills = {action.name for action in taught.actions if action.action == "skill"}
        spoken = " ".join(action.text for action in taught.actions if action.action == "say")
        assert len(taught.actions) <= 5
        if request.faults or 0 < request.range_mm < 500:
            assert not skills & {"patrol_drift", "investigate_ball"}
        if not request.ball_is_certain:
            assert "ball" not in spoken.lower()
            assert "investigate_ball" not in skills


def test_the_page_of_intents_is_in_step() -> None:
    assert (_TOOLS / "intents.md").read_text("utf-8") == page()
