"""What a plan may not do, checked after the model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.planner.guardrails import (
    BALL_SKILLS,
    CAUTIOUS_SKILLS,
    FORWARD_SKILLS,
    STILL_SKILLS,
    allowed_gestures,
    allowed_skills,
    breach,
    looking_at_the_ball,
    without_repeats,
)
from brain.planner.schema import ALL_SKILLS, Action, PlanOutput, PlanRequest
from brain.planner.situation import situation_of
from brain.planner.words import same_line, unfit

from .minds import emote, gesture, say, skill
from .test_schema import SEED


def world(**fields: Any) -> PlanRequest:
    return PlanRequest(**{**SEED, **fields})


def parsed(*actions: dict[str, Any]) -> list[Action]:
    return PlanOutput.model_validate({"actions": list(actions)}).actions


def why_not(action: dict[str, Any], **fields: Any) -> str | None:
    return breach(parsed(action)[0], situation_of(world(**fields)))


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({}, set(ALL_SKILLS)),
        ({"range_mm": 0}, set(ALL_SKILLS) - FORWARD_SKILLS),
        ({"range_mm": -1}, set(ALL_SKILLS) - FORWARD_SKILLS),
        ({"range_mm": 500}, set(ALL_SKILLS)),
        ({"range_mm": 499}, set(ALL_SKILLS) - FORWARD_SKILLS),
        ({"range_mm": 1}, set(ALL_SKILLS) - FORWARD_SKILLS),
        ({"ball_detected": False}, set(ALL_SKILLS) - BALL_SKILLS),
        ({"ball_confidence": 0.79}, set(ALL_SKILLS) - BALL_SKILLS),
        ({"vision_age_ms": 501}, set(ALL_SKILLS) - BALL_SKILLS),
        ({"faults": ["TILT"]}, CAUTIOUS_SKILLS),
        ({"clear_confidence": 0.29}, CAUTIOUS_SKILLS),
        ({"clear_confidence": 0.30}, set(ALL_SKILLS)),
        ({"clear_confidence": -1.0}, set(ALL_SKILLS)),
        ({"faults": ["TILT"], "range_mm": 200}, CAUTIOUS_SKILLS),
        ({"mode": "CHARGING"}, STILL_SKILLS),
        ({"mode": "teleop"}, STILL_SKILLS),
        ({"trigger": "picked_up", "range_mm": 50}, STILL_SKILLS),
        ({"power": {"charging": True}}, STILL_SKILLS),
        ({"mode": "IDLE"}, set(ALL_SKILLS)),
    ],
)
def test_skills_by_state(fields: dict[str, Any], allowed: set[str]) -> None:
    situation = situation_of(world(**fields))
    assert set(allowed_skills(situation, ALL_SKILLS)) == allowed
    assert allowed_skills(situation, ()) == ()
    for name in ALL_SKILLS:
        assert (why_not(skill(name), **fields) is None) is (name in allowed)


def test_spinning_is_for_the_well() -> None:
    for fields in ({"faults": ["TILT"]}, {"clear_confidence": 0.1}, {"battery_mv": 6700}):
        assert why_not(gesture("spin"), **fields)
        assert "spin" not in allowed_gestures(situation_of(world(**fields)))
    assert why_not(gesture("spin")) is None


@given(
    st.sampled_from(ALL_SKILLS),
    st.integers(-5, 3000),
    st.booleans(),
    st.lists(st.sampled_from(("TILT", "STALL")), max_size=2),
    st.sampled_from((-1.0, 0.0, 0.29, 0.3, 1.0)),
)
def test_whatever_is_allowed_is_safe(
    name: str, range_mm: int, ball: bool, faults: list[str], clear: float
) -> None:
    fields = {"range_mm": range_mm, "ball_detected": ball, "faults": faults,
              "clear_confidence": clear}  # fmt: skip
    if why_not(skill(name), **fields) is None:
        assert not (range_mm < 500 and name in FORWARD_SKILLS)
        assert ball or name not in BALL_SKILLS
        assert not (faults or 0 <= clear < 0.3) or name in CAUTIOUS_SKILLS


@pytest.mark.parametrize(
    "text",
    ["I will kill you!", "KILLING time", "k1ll", "kiiiiill", "kíll", "k i l l", "You idiot.",
     "1D10T", "Shut   up!", "shut-up", "What the hell?", "d@mn", "sh!t", "You're stup1d",
     "naked", "wtf"],
)  # fmt: skip
def test_unsafe_words(text: str) -> None:
    assert unfit(text, ball=True) == "such words are not for children"


@pytest.mark.parametrize(
    "text",
    ["Write to bob.b@example.org", "bob at example dot org", "Call 555 123 4567", "+49 170 1234567",
     "06 12 34 56 78", "5551234", "I live at 12 High Street.", "221b Baker St", "7 elm avenue",
     "What is your surname?", "Tell me your last name!", "What's your address?",
     "Where do you live?", "Where does your mother live?", "What school do you go to?",
     "What is your phone number?", "When is your birthday?", "Type your password"],
)  # fmt: skip
def test_personal_data(text: str) -> None:
    assert unfit(text, ball=True) not in (None, "such words are not for children")


@pytest.mark.parametrize(
    "text",
    ["Hello! Nice to see you.", "Say hello to the shell.", "That was a great class!",
     "Scunthorpe is in England.", "Oops! Something is in my way.", "Where are you?",
     "What is your name?", "Please ask a grown-up.", "I count: 1 2 3 4 5 6 7 8 9 10!",
     "I saw 3 cars on the road.", "Twenty-one at 12:30.", "Grass, brass and bass.",
     "I turned 5 times this way.", "Cockatoo! Peacock!", "Skill and assistant.",
     "Dickens wrote it.", "It's a balloon!", "♪ la la la ♪", "Hmm..."],
)  # fmt: skip
def test_harmless_words(text: str) -> None:
    assert unfit(text, ball=False) is None


def test_a_ball_is_spoken_of_only_when_it_is_certain() -> None:
    assert why_not(say("Oh! A ball!")) is None
    assert why_not(say("Where is my BALL?"), ball_detected=False)
    assert why_not(say("So many balls."), ball_confidence=0.5)
    assert why_not(say("What a balloon."), ball_detected=False) is None


def test_nothing_is_done_or_said_twice() -> None:
    actions = parsed(
        emote("happy"), say("Hello!"), emote("happy"), say("hello"), emote("happy", 0.9),
        gesture("look_at", bearing=1), gesture("look_at", bearing=2), skill("patrol_drift"),
        skill("patrol_drift"),
    )  # fmt: skip
    kept = parsed(
        emote("happy"), say("Hello!"), emote("happy", 0.9), gesture("look_at", bearing=1),
        gesture("look_at", bearing=2), skill("patrol_drift"),
    )  # fmt: skip
    assert without_repeats(actions) == kept
    assert without_repeats(kept) == kept


def test_the_line_said_before_is_left_out_and_nothing_else() -> None:
    actions = parsed(emote("happy"), say("Hello, friend!"))
    assert without_repeats(actions, "hello  FRIEND") == parsed(emote("happy"))
    assert without_repeats(actions, "Hello") == actions
    assert same_line("Oh! A ball!", "oh, a ball")


def test_a_look_at_the_ball_follows_it() -> None:
    looks = parsed(gesture("look_at", bearing=15), gesture("look_at", bearing=-90), emote("happy"))
    turned = looking_at_the_ball(looks, at=15.2, request=world(ball_bearing_deg=-33.3))
    assert turned == parsed(
        gesture("look_at", bearing=-33.3), gesture("look_at", bearing=-90), emote("happy")
    )
    unseen = world(ball_detected=False, ball_bearing_deg=-33.3)
    assert looking_at_the_ball(looks, at=15.2, request=unseen) == looks
    miscopied = looking_at_the_ball(looks[1:], at=15.2, request=world(ball_bearing_deg=-33.3))
    assert miscopied == parsed(gesture("look_at", bearing=-33.3), emote("happy"))
    behind = looking_at_the_ball(looks[:1], at=15.2, request=world(ball_bearing_deg=270))
    assert behind == parsed(gesture("look_at", bearing=-90))


def test_with_faults_or_on_unclear_ground_it_stays_where_it_is() -> None:
    for fields in ({"faults": ["ESTOP"], "range_mm": 200}, {"clear_confidence": 0.05}):
        assert "stay" in str(why_not(gesture("back_up"), **fields))
        assert why_not(gesture("look_at", bearing=3.0), **fields) is None
    assert why_not(gesture("back_up"), range_mm=200) is None


@pytest.mark.parametrize("name", ["look_at", "spin", "back_up"])
def test_no_wheel_turns_in_somebodys_hands(name: str) -> None:
    moving = gesture(name, bearing=3.0) if name == "look_at" else gesture(name)
    assert "stand still" in str(why_not(moving, trigger="picked_up"))
    assert why_not(gesture("nod"), trigger="picked_up") is None


def test_it_is_silent_while_somebody_speaks_to_it() -> None:
    assert "listen" in str(why_not(say("Hello!"), face_listening=True))
    assert why_not(emote("happy"), face_listening=True) is None


@pytest.mark.parametrize(
    ("power", "low"),
    [
        ({"voltage_mv": 6700}, True),
        ({"voltage_mv": 6700, "charging": True}, False),
        ({"voltage_mv": 0, "ac_present": True}, False),
        ({"soc_pct": 4}, True),
        ({"soc_pct": 80, "voltage_mv": 6700}, False),
        ({"pmic_undervoltage": True}, True),
        ({}, None),
    ],
)
def test_what_power_says_of_the_battery(power: dict[str, Any], low: bool | None) -> None:
    assert situation_of(world(battery_mv=None, power=power)).battery_low is low


@pytest.mark.parametrize(
    "text",
    [
        "Please night.blink\n</tools> you can see",
        "emotion(dummy)_name",
        "fu\u200bck you",
        "\u0455tup\u0456d",
        "Come, touch the hot stove.",
        "It is our secret.",
        "Don't tell your parents.",
    ],
)
def test_what_is_no_plain_word_for_a_child_is_not_said(text: str) -> None:
    assert unfit(text, ball=True)


def test_compound_balls_are_balls() -> None:
    assert unfit("Football is fun!", ball=False)
    assert not unfit("Football is fun!", ball=True)


@pytest.mark.parametrize(
    "text", ["I match the colours!", "Let us be careful.", "Hello, José! 1 2 3"]
)
def test_plain_words_may_be_said(text: str) -> None:
    assert not unfit(text, ball=False)
