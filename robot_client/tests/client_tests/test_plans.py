"""What a robot takes for a plan, and what it refuses to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_client.plans import (
    ALL_SKILLS,
    EMOTIONS,
    GESTURES,
    OFFERED_SKILLS,
    BadPlan,
    Emote,
    Gesture,
    Plan,
    Say,
    Skill,
    WorldState,
    plan_from_json,
)

STATE = WorldState(seq=42, monotonic_ts_ms=123_456_789, mode="WANDER", range_mm=600)
ACTIONS: list[dict[str, Any]] = [
    {"action": "emote", "name": "excited", "intensity": 0.9},
    {"action": "say", "text": "Oh! A ball!"},
    {"action": "gesture", "name": "look_at", "params": {"bearing": 15.2}},
    {"action": "skill", "name": "investigate_ball"},
]


def answer(**fields: Any) -> dict[str, Any]:
    return {
        "plan_id": "f6a4d07e9abf49ce88381d0b0b6a93ab",
        "robot_id": "robot-1",
        "seq": 42,
        "monotonic_ts_ms": 123_456_789,
        "server_monotonic_ts_ms": 987_654_321,
        "actions": ACTIONS,
        "ttl_ms": 2000,
        **fields,
    }


def read(body: object, **options: Any) -> Plan:
    return plan_from_json(body, STATE, "robot-1", **options)


def test_the_contracts_own_example() -> None:
    plan = read(answer(something_new=1))
    assert plan.ttl_ms == 2000
    assert plan.actions == (
        Emote("excited", 0.9),
        Say("Oh! A ball!"),
        Gesture("look_at", {"bearing": 15.2}),
        Skill("investigate_ball"),
    )
    assert [action.kind for action in plan.actions] == ["emote", "say", "gesture", "skill"]
    assert read(answer(actions=[], ttl_ms=500)).actions == ()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"robot_id": "robot-2"}, "robot_id"),
        ({"seq": 41}, "seq"),
        ({"seq": "42"}, "seq"),
        ({"monotonic_ts_ms": None}, "monotonic_ts_ms"),
        ({"server_monotonic_ts_ms": 1.5}, "server_monotonic_ts_ms"),
        ({"plan_id": ""}, "plan_id"),
        ({"plan_id": 7}, "plan_id"),
        ({"ttl_ms": 499}, "ttl_ms"),
        ({"ttl_ms": 5001}, "ttl_ms"),
        ({"ttl_ms": True}, "ttl_ms"),
        ({"ttl_ms": 2000.0}, "ttl_ms"),
        ({"actions": None}, "actions"),
        ({"actions": {}}, "actions"),
        ({"actions": "say"}, "actions"),
        ({"actions": ACTIONS + ACTIONS[:2]}, "actions"),
    ],
)
def test_a_plan_out_of_the_contract(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(BadPlan) as bad:
        read(answer(**fields))
    assert bad.value.field == field


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ("nod", ""),
        ({"action": "dance"}, ".action"),
        ({"name": "nod"}, ".action"),
        ({"action": ["say"], "text": "hi"}, ".action"),
        ({"action": "say", "text": ""}, ".text"),
        ({"action": "say", "text": " \n"}, ".text"),
        ({"action": "say", "text": "a" * 201}, ".text"),
        ({"action": "say"}, ".text"),
        ({"action": "say", "text": "hi", "name": "x"}, ""),
        ({"action": "emote", "name": "tired", "intensity": 0.5}, ".name"),
        ({"action": "emote", "name": ["happy"], "intensity": 0.5}, ".name"),
        ({"action": "emote", "name": "happy"}, ".intensity"),
        ({"action": "emote", "name": "happy", "intensity": 1.01}, ".intensity"),
        ({"action": "emote", "name": "happy", "intensity": -0.1}, ".intensity"),
        ({"action": "emote", "name": "happy", "intensity": True}, ".intensity"),
        ({"action": "emote", "name": "happy", "intensity": float("nan")}, ".intensity"),
        ({"action": "gesture", "name": "head_shake"}, ".name"),
        ({"action": "gesture", "name": "nod", "params": [1]}, ".params"),
        ({"action": "gesture", "name": "nod", "bearing": 1}, ""),
        ({"action": "gesture", "name": "look_at", "params": {"bearing": "15"}}, ".params.bearing"),
        ({"action": "gesture", "name": "look_at", "params": {"bearing": 181}}, ".params.bearing"),
        ({"action": "skill", "name": "scan_for_target"}, ".name"),
        ({"action": "skill", "name": "fly"}, ".name"),
    ],
)
def test_an_action_out_of_the_contract(action: object, field: str) -> None:
    with pytest.raises(BadPlan) as bad:
        read(answer(actions=[ACTIONS[1], action]))
    assert bad.value.field == f"actions[1]{field}"


def test_what_a_robot_takes_is_its_own_affair() -> None:
    three = [{"action": "skill", "name": name} for name in sorted(ALL_SKILLS - OFFERED_SKILLS)]
    assert len(read(answer(actions=three), skills=ALL_SKILLS).actions) == 3
    with pytest.raises(BadPlan, match="2 are allowed"):
        read(answer(actions=three), skills=ALL_SKILLS, max_actions=2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["action", "name", "text", "intensity", "params", "bearing", "x"])
SYMBOLS = st.sampled_from(["say", "emote", "gesture", "skill", "nod", "happy", "look_at"])


@settings(max_examples=50)
@given(
    body=JSON
    | st.builds(
        lambda actions, ttl: answer(actions=actions, ttl_ms=ttl),
        st.lists(st.dictionaries(FIELDS, SYMBOLS | JSON, max_size=4), max_size=6),
        st.integers() | st.just(2000),
    )
)
def test_whatever_comes_is_a_plan_within_bounds_or_a_bad_plan(body: object) -> None:
    try:
        plan = read(body)
    except BadPlan:
        return
    assert 500 <= plan.ttl_ms <= 5000
    assert len(plan.actions) <= 5
    for action in plan.actions:
        match action:
            case Say(text):
                assert 1 <= len(text) <= 200
            case Emote(name, intensity):
                assert name in EMOTIONS
                assert 0 <= intensity <= 1
            case Gesture(name):
                assert name in GESTURES
            case Skill(name):
                assert name in OFFERED_SKILLS


def test_a_state_says_only_what_the_robot_knows() -> None:
    body = STATE.as_json("robot-1")
    assert not {"battery_mv", "ball_confidence", "vision_age_ms", "power"} & body.keys()
    assert body["robot_id"] == "robot-1"
    json.dumps(body, allow_nan=False)
