"""What `/plan` takes and gives."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from brain.planner.schema import ALL_SKILLS, OFFERED_SKILLS, PlanOutput, PlanRequest, output_schema
from tests.seed_examples import PLAN_REQUEST as SEED
from tests.seed_examples import PLAN_RESPONSE

SEED_ACTIONS: list[dict[str, Any]] = PLAN_RESPONSE["actions"]


def test_the_seeds_own_example_passes() -> None:
    request = PlanRequest(**SEED)
    assert request.ball_is_certain
    plan = PlanOutput.model_validate({"actions": SEED_ACTIONS, "ttl_ms": 2000})
    assert [action.action for action in plan.actions] == ["emote", "say", "gesture", "skill"]


@pytest.mark.parametrize(
    ("fields", "certain"),
    [
        ({"ball_detected": False}, False),
        ({"ball_confidence": 0.79}, False),
        ({"ball_confidence": 0.80}, True),
        ({"vision_age_ms": 501}, False),
        ({"vision_age_ms": 500, "ball_confidence": 0.9}, True),
        ({"vision_age_ms": -1}, True),
        ({"ball_confidence": 0.0}, False),
    ],
)
def test_a_ball_is_certain_by_the_guardrails(fields: dict[str, Any], certain: bool) -> None:
    assert PlanRequest(**{**SEED, **fields}).ball_is_certain is certain


@pytest.mark.parametrize(
    "fields",
    [
        {"robot_id": ""},
        {"robot_id": "x" * 65},
        {"seq": -1},
        {"monotonic_ts_ms": -1},
        {"clear_confidence": 1.1},
        {"clear_confidence": -1.1},
        {"battery_mv": None},
        {"range_mm": "far"},
    ],
)
def test_requests_out_of_bounds_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PlanRequest(**{**SEED, **fields})


def test_power_stands_in_for_the_battery() -> None:
    request = PlanRequest(**{**SEED, "battery_mv": None, "power": {"voltage_mv": 7100}})
    assert request.voltage_mv == 7100
    assert PlanRequest(**SEED).voltage_mv == 7800


def test_unknown_fields_of_newer_robots_are_ignored() -> None:
    assert PlanRequest(**SEED, new_sensor=3).seq == 42


@pytest.mark.parametrize(
    "action",
    [
        {"action": "say", "text": "x" * 201},
        {"action": "say", "text": ""},
        {"action": "emote", "name": "furious"},
        {"action": "emote", "name": "happy", "intensity": 1.5},
        {"action": "gesture", "name": "moonwalk"},
        {"action": "skill", "name": "take_over_the_world"},
        {"action": "explode"},
    ],
)
def test_actions_out_of_bounds_are_refused(action: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PlanOutput.model_validate({"actions": [action]})


@pytest.mark.parametrize("ttl_ms", [499, 5001])
def test_lifetimes_out_of_bounds_are_refused(ttl_ms: int) -> None:
    with pytest.raises(ValidationError):
        PlanOutput.model_validate({"actions": [], "ttl_ms": ttl_ms})


def test_the_schema_names_only_what_is_offered() -> None:
    text = str(output_schema(max_actions=3))
    assert "'maxItems': 3" in text
    assert all(name in text for name in OFFERED_SKILLS)
    assert "scan_for_target" not in text
    assert "scan_for_target" in str(output_schema(skills=ALL_SKILLS))
