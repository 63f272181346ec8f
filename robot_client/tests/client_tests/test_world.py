"""Simulated lives: everything happens in them, nothing that can't."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_client.plans import Emote, Gesture, Say, Skill, WorldState
from robot_client.world import GAP_MS, HEARTBEAT_MS, URGENCY, World
from robot_client.world_parts import Battery

BALL = {"ball_seen", "ball_lost"}


def life(seed: int, hours: float) -> list[WorldState]:
    world = World(seed)
    end = world.now_ms + hours * 3_600_000
    states = []
    while world.now_ms < end:
        states.append(world.next_state())
    return states


def check(state: WorldState) -> None:
    """What holds of a robot's state at any moment."""
    assert state.trigger in {*URGENCY, "heartbeat"}
    assert state.battery_mv is not None or state.power is not None
    mv = state.battery_mv or (state.power and state.power.voltage_mv) or 0
    assert 6_000 < mv < 8_600
    assert -1 <= state.range_mm <= 4_000
    assert state.clear_confidence == -1 or 0 <= state.clear_confidence <= 1
    assert state.ball_confidence is None or 0 <= state.ball_confidence <= 1
    assert -90 <= state.ball_bearing_deg <= 90 or state.ball_detected
    assert state.ball_detected or not state.ball_bearing_deg
    assert abs(state.speed_l_mm_s) < 250
    assert len(state.recent_events) <= 6
    body = state.as_json("r")
    assert len(json.dumps(body, allow_nan=False)) < 2_000
    if state.mode in ("ERROR", "DOCKED", "IDLE"):
        assert state.v_capped == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_hour_and_a_half_has_its_share_of_everything(seed: int) -> None:
    states = life(seed, 1.5)
    for state in states:
        check(state)
    seqs = [state.seq for state in states]
    times = [state.monotonic_ts_ms for state in states]
    assert seqs == list(range(1, len(seqs) + 1))
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) >= GAP_MS
    assert max(gaps) <= HEARTBEAT_MS
    triggers = Counter(state.trigger for state in states)
    assert triggers["heartbeat"] > len(states) / 3
    often = {*BALL, "obstacle_close", "button_pressed", "speech_heard", "fault", "picked_up"}
    assert often <= triggers.keys()
    assert any(0 < state.range_mm < 500 for state in states)
    assert any(state.faults for state in states)
    assert {"WANDER", "IDLE"} <= {state.mode for state in states}


def test_a_battery_runs_low_is_charged_and_runs_again() -> None:
    battery, seen, levels = Battery(), [], []
    for _ in range(12 * 3600):
        seen += battery.step(1_000, moving=True)
        levels.append(battery.mv)
    assert seen[:4] == ["low_battery", "charging", "low_battery", "charging"]
    assert 6_490 < min(levels) < max(levels) <= 8_352
    assert 0 <= battery.percent <= 100


def test_the_three_makes_tell_what_they_can() -> None:
    makes = set()
    for seed in range(30):
        state = World(seed).next_state()
        makes.add((state.vision_age_ms is not None, state.power is not None))
    assert makes == {(False, False), (True, False), (True, True)}


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), plans=st.lists(st.integers(0, 5), max_size=40))
def test_whatever_is_done_life_goes_on_and_the_same_gives_the_same(
    seed: int, plans: list[int]
) -> None:
    deeds = (
        (), (Say("Hello there!"),), (Skill("investigate_ball"), Emote("curious", 0.5)),
        (Gesture("back_up"),), (Skill("avoid_obstacle"), Gesture("spin")),
        (Skill("greet_on_button"),),
    )  # fmt: skip

    def lived() -> list[WorldState]:
        world, states = World(seed), []
        for choice in plans:
            state = world.next_state()
            check(state)
            states.append(state)
            world.wait(150)
            world.did(deeds[choice])
        return states

    assert lived() == lived()


def test_the_robot_knows_what_it_did() -> None:
    world = World(0)
    world.next_state()
    world.did((Say("la " * 60), Skill("avoid_obstacle")))  # twelve seconds of it
    state = world.next_state()
    assert state.face_talking
    assert state.planner_active_skill == "avoid_obstacle"
    assert {"said something", "skill avoid_obstacle"} <= set(state.recent_events)
    world.wait(30_000)
    state = world.next_state()
    assert not state.face_talking
    assert state.planner_active_skill == "patrol_drift"
    assert "said something" not in state.recent_events
