"""Changing a session, by the rules of the protocol."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.dialogue.config import HouseRules, SessionConfig, TurnDetection, changed, rules
from brain.engines.ports import ToolSpec

TOOL = ToolSpec("dance", "", {"type": "object"})
DEFAULTS = SessionConfig(instructions="be kind", tools=(TOOL,))


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({}, "instructions", "be kind"),
        ({"instructions": "be brief"}, "instructions", "be brief"),
        ({"instructions": None}, "instructions", "be kind"),
        ({"tools": ()}, "tools", ()),
        ({"tools": None}, "tools", (TOOL,)),
        ({"turn_detection": None}, "turn_detection", None),
        ({"turn_detection": {"silence_ms": 300}}, "turn_detection", TurnDetection(silence_ms=300)),
        ({"turn_detection": {"silence_ms": None}}, "turn_detection", TurnDetection()),
        ({"turn_detection": {}}, "turn_detection", TurnDetection()),
    ],
)
def test_absent_keeps_lists_replace_null_restores(
    changes: dict[str, Any], field: str, value: object
) -> None:
    assert getattr(changed(DEFAULTS, DEFAULTS, changes), field) == value


def test_turn_detection_merges_and_comes_back_from_push_to_talk() -> None:
    config = changed(DEFAULTS, DEFAULTS, {"turn_detection": {"silence_ms": 300}})
    config = changed(config, DEFAULTS, {"turn_detection": {"threshold": 0.7}})
    assert config.turn_detection == TurnDetection(silence_ms=300, threshold=0.7)
    config = changed(config, DEFAULTS, {"turn_detection": None})
    config = changed(config, DEFAULTS, {"turn_detection": {"threshold": 0.7}})
    assert config.turn_detection == TurnDetection(threshold=0.7)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="tempo"):
        changed(DEFAULTS, DEFAULTS, {"tempo": 3})


@given(st.booleans(), st.booleans(), st.sampled_from(["half_duplex", "guard", "none"]))
def test_the_robot_is_deaf_while_it_speaks_unless_echo_is_cancelled(
    cancels: bool, interrupt: bool, echo: Any
) -> None:
    config = SessionConfig(
        echo_cancellation=cancels, turn_detection=TurnDetection(interrupt=interrupt)
    )
    made = rules(config, HouseRules(echo=echo))
    assert made.deaf_in_reply == (not ((cancels or echo != "half_duplex") and interrupt))
    assert made.needs_words == (echo == "guard" and not cancels)
