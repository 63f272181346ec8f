"""Plans that are used again."""

from __future__ import annotations

from typing import Any

import pytest

from brain.planner.cache import MOST_ASKED, Draft, Key, PlanCache, key_of
from brain.planner.schema import PlanOutput, PlanRequest

from .minds import emote, say
from .test_schema import SEED


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(**fields: Any) -> Key:
    return key_of(PlanRequest(**{**SEED, **fields}))


def draft(*actions: dict[str, Any]) -> Draft:
    return Draft(tuple(PlanOutput.model_validate({"actions": actions}).actions), 2000)


def cache(entries: int = 4, seconds: float = 100, clock: Clock | None = None) -> PlanCache:
    return PlanCache(entries=entries, seconds=seconds, clock=clock or Clock())


@pytest.mark.parametrize(
    "fields",
    [
        {"seq": 43, "monotonic_ts_ms": 5, "robot_id": "other"},
        {"range_mm": 1900},
        {"battery_mv": 6900},
        {"ball_bearing_deg": 40.0},
        {"speed_l_mm_s": 3},
        {"clear_confidence": 0.31},
        {"recent_events": ["ball_lost"]},
    ],
)
def test_numbers_make_no_other_situation(fields: dict[str, Any]) -> None:
    assert key(**fields) == key()


@pytest.mark.parametrize(
    "fields",
    [
        {"trigger": "heartbeat"},
        {"mode": "IDLE"},
        {"range_mm": 499},
        {"range_mm": 0},
        {"battery_mv": 6799},
        {"clear_confidence": 0.29},
        {"clear_confidence": -1.0},
        {"ball_detected": False},
        {"ball_bearing_deg": -40.0},
        {"ball_bearing_deg": 0.0},
        {"faults": ["TILT"]},
        {"speed_l_mm_s": 0, "speed_r_mm_s": 0},
        {"face_talking": True},
        {"face_listening": True},
        {"planner_active_skill": "avoid_obstacle"},
    ],
)
def test_what_matters_to_a_plan_makes_another(fields: dict[str, Any]) -> None:
    assert key(**fields) != key()


def test_a_line_is_not_found_for_who_said_it_last() -> None:
    kept = cache()
    assert kept.find(key()) is None
    assert not kept.knows(key())
    kept.keep(key(), draft(emote("happy"), say("Hi!")))
    assert kept.knows(key())
    assert kept.find(key()) == draft(emote("happy"), say("Hi!"))
    assert kept.find(key(), "hi") is None
    kept.keep(key(), draft(say("Hello!")))
    assert kept.find(key(), "Hi!") == draft(say("Hello!"))
    assert kept.find(key(), "Hello!") == draft(emote("happy"), say("Hi!"))


def test_a_plan_without_words_repeats_nothing() -> None:
    kept = cache()
    kept.keep(key(), draft(emote("happy")))
    assert kept.find(key(), "Hi!") == kept.find(key()) == draft(emote("happy"))


def test_a_model_with_one_answer_is_not_asked_for_ever() -> None:
    kept = cache()
    for _ in range(MOST_ASKED):
        assert kept.find(key(), "Hi!") is None
        kept.keep(key(), draft(say("Hi!")))
    assert kept.find(key(), "Hi!") == draft(say("Hi!"))


def test_each_plan_is_kept_for_its_time() -> None:
    clock = Clock()
    kept = cache(seconds=100, clock=clock)
    kept.keep(key(), draft(say("Hi!")))
    clock.now = 60
    kept.keep(key(), draft(say("Hello!")))
    clock.now = 99.9
    assert kept.find(key(), "Hello!") == draft(say("Hi!"))
    clock.now = 100
    assert kept.find(key(), "Hello!") is None
    assert kept.find(key()) == draft(say("Hello!"))
    clock.now = 160
    assert kept.find(key()) is None
    assert len(kept) == 0


def test_the_least_recently_used_situation_goes_first() -> None:
    kept = cache(entries=2)
    for trigger in ("a", "b"):
        kept.keep(key(trigger=trigger), draft(say(trigger)))
    kept.find(key(trigger="a"))
    kept.keep(key(trigger="c"), draft(say("c")))
    assert len(kept) == 2
    assert kept.find(key(trigger="a"))
    assert not kept.find(key(trigger="b"))
    assert kept.find(key(trigger="c"))


def test_without_room_nothing_is_kept() -> None:
    kept = cache(entries=0)
    kept.keep(key(), draft(say("Hi!")))
    assert len(kept) == 0
    assert kept.find(key()) is None
