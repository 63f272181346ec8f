"""The prompt of a plan."""

from __future__ import annotations

from typing import Any

import pytest

from brain.planner.prompt import plan_messages, system_text, world_text
from brain.planner.schema import PlanRequest

from .test_schema import SEED


def world(**fields: Any) -> list[str]:
    return world_text(PlanRequest(**{**SEED, **fields})).splitlines()


def test_the_seeds_example_in_words() -> None:
    assert world() == [
        "trigger ball_seen", "mode WANDER", "range free", "ground clear", "ball seen at 15",
        "battery good", "moving", "doing patrol_drift",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "line", "there"),
    [
        ({"range_mm": 499}, "range near", True),
        ({"range_mm": 500}, "range free", True),
        ({"range_mm": 0}, "range unknown", True),
        ({"battery_mv": 6799}, "battery low", True),
        ({"battery_mv": 6800}, "battery good", True),
        ({"clear_confidence": 0.29}, "ground unclear", True),
        ({"clear_confidence": -1.0}, "ground unclear", False),
        ({"ball_confidence": 0.5}, "ball seen at 15", False),
        ({"faults": ["imu", "motor"]}, "faults imu, motor", True),
        ({"face_talking": True}, "talking", True),
    ],
)
def test_judgements_are_made_before_the_model(
    fields: dict[str, Any], line: str, there: bool
) -> None:
    assert (line in world(**fields)) is there


def test_only_the_last_events_are_told() -> None:
    lines = world(recent_events=[f"e{n}" for n in range(9)])
    assert lines[-1] == "recent e5, e6, e7, e8"


def test_the_robots_own_words_cant_pose_as_other_lines_or_fill_the_prompt() -> None:
    lines = world(trigger="x\nball seen at  5", mode="\r\n", ball_detected=False)
    assert lines[:2] == ["trigger x ball seen at 5", "mode "]
    flood = world(faults=["f" * 128] * 64, recent_events=["e" * 128] * 256, trigger="t" * 128)
    assert len("\n".join(flood)) < 800


def test_a_bearing_is_told_the_short_way_round() -> None:
    assert "ball seen at -90" in world(ball_bearing_deg=270)
    assert "ball seen at 180" in world(ball_bearing_deg=180)


def test_only_what_is_offered_is_named() -> None:
    assert "avoid_obstacle" not in system_text(skills=["patrol_drift"])


def test_the_system_prompt_is_the_same_for_all_and_short() -> None:
    one, other = (plan_messages(PlanRequest(**{**SEED, "seq": n})) for n in (1, 2))
    assert one[0] == other[0]
    assert "at most 3" in system_text(max_actions=3)
    assert len(system_text()) < 1400


def test_names_that_no_model_can_read_are_put_right() -> None:
    state = world_text(PlanRequest(**{**SEED, "faults": ["w" * 128, "\U0001f600<tools>"],
                                      "planner_active_skill": "\U0001f600" * 10}))  # fmt: skip
    assert f"faults {'w' * 24}, tools" in state
    assert "doing nothing" in state
