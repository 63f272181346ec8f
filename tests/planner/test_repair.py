"""A model's text becomes a plan or is refused; never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.planner.repair import PlanInvalid, has_plan, plan_of
from brain.planner.schema import (
    ALL_SKILLS,
    EMOTIONS,
    GESTURES,
    MAX_TTL_MS,
    MIN_TTL_MS,
    PlanOutput,
)

from .minds import emote, gesture, plan, say, skill
from .test_schema import SEED_ACTIONS

HAPPY = emote("happy", 0.9)


def actions(text: str, **limits: Any) -> list[dict[str, Any]]:
    return [action.model_dump() for action in plan_of(text, **limits).actions]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        # one level too deep
        ({"name": "emote", "params": {"name": "happy", "intensity": 0.9}}, HAPPY),
        ({"action": "emote", "params": {"name": "happy", "intensity": 0.9}}, HAPPY),
        ({"action": "emote", "name": "happy", "params": {"intensity": 0.9}}, HAPPY),
        ({"action": "say", "params": {"text": "Hi!"}}, say("Hi!")),
        ({"action": "skill", "params": {"name": "patrol_drift"}}, skill("patrol_drift")),
        # a gesture with the name of another kind
        ({"action": "gesture", "name": "excited"}, emote("excited")),
        ({"action": "gesture", "name": "investigate_ball"}, skill("investigate_ball")),
        ({"action": "gesture", "name": "say", "params": {"text": "Hi!"}}, say("Hi!")),
        ({"action": "gesture", "name": "emote", "params": {"name": "sad"}}, emote("sad")),
        ({"action": "emote", "name": "wiggle"}, gesture("wiggle")),
        ({"action": "gesture", "name": "confused"}, gesture("confused")),
        ({"action": "emote", "name": "confused"}, emote("confused")),
        # the kind from a bare symbol
        ("blink", gesture("blink")),
        ("avoid_obstacle", skill("avoid_obstacle")),
        ({"action": "avoid_obstacle"}, skill("avoid_obstacle")),
        ({"name": "excited", "intensity": 0.2}, emote("excited", 0.2)),
        ({"action": "sleepy", "intensity": 0.8}, emote("sleepy", 0.8)),
        ({"action": "look_at", "bearing": -20}, gesture("look_at", bearing=-20)),
        ({"action": "look_at", "params": {"bearing": -20}}, gesture("look_at", bearing=-20)),
        ({"say": "Hi!"}, say("Hi!")),
        ({"emote": {"name": "love", "intensity": 1.0}}, emote("love", 1.0)),
        ({"type": "skill", "name": "greet_on_button"}, skill("greet_on_button")),
        ({"text": "Hi!"}, say("Hi!")),
        # a bearing without a name, and stray keys
        ({"action": "gesture", "bearing": 15.2}, gesture("look_at", bearing=15.2)),
        ({"action": "gesture", "params": {"bearing": 15.2}}, gesture("look_at", bearing=15.2)),
        ({"bearing": 15.2}, gesture("look_at", bearing=15.2)),
        ({"action": "gesture", "name": "look_at", "bearing": 3}, gesture("look_at", bearing=3)),
        ({"action": "gesture", "name": "spin", "turns": 2}, gesture("spin", turns=2)),
        # other spellings
        (emote("tired"), emote("sleepy")),
        (emote("Happy"), emote("happy")),
        (gesture("head-shake"), gesture("headshake")),
        (gesture("head_shake"), gesture("headshake")),
        (gesture("x-eyes"), gesture("x_eyes")),
        (gesture("xeyes"), gesture("x_eyes")),
        ({"action": "Skill", "name": "Patrol Drift"}, skill("patrol_drift")),
        ({"action": "gesture", "name": "nod", "params": None}, gesture("nod")),
    ],
    ids=str,
)
def test_what_is_only_written_otherwise_is_put_right(written: Any, meant: dict[str, Any]) -> None:
    assert actions(json.dumps({"actions": [written]})) == [meant]


@pytest.mark.parametrize(
    "stub",
    [{}, {"action": "say"}, {"action": "say", "text": ""}, {"action": "gesture", "params": {}},
     {"name": "emote", "params": {}}, {"action": "emote", "name": None}, ""],
    ids=str,
)  # fmt: skip
def test_stubs_are_dropped(stub: Any) -> None:
    assert actions(json.dumps({"actions": [stub, HAPPY]}), max_actions=1) == [HAPPY]


@pytest.mark.parametrize(
    "text",
    [
        plan(HAPPY),
        f"```json\n{plan(HAPPY)}\n```",
        f"Sure! Here it is: {plan(HAPPY)} I hope that helps. {plan(say('no'))}",
        f"<think>{{hm}} [well]</think>\n{plan(HAPPY)}",
        json.dumps({"plan": {"actions": [HAPPY]}}),
        json.dumps({"result": [HAPPY]}),
        json.dumps([HAPPY]),
        json.dumps(HAPPY),
        "{" + plan(HAPPY),
    ],
)
def test_the_first_plan_is_taken_whatever_stands_around_it(text: str) -> None:
    assert actions(text) == [HAPPY]
    assert has_plan(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON object"),
        ("I would like to say hello.", "no JSON object"),
        ("{}", "no JSON object"),
        ('{"actions": "none"}', "no JSON object"),
        (plan(HAPPY)[:-20], "no JSON object"),
        (plan(HAPPY, say("Hello there"))[:-25], "no JSON object"),
        (plan(emote("happy", 1.01)), "actions.0.emote.intensity"),
        (plan(emote("happy", -0.01)), "actions.0.emote.intensity"),
        (plan(emote("furious")), "actions.0.emote.name"),
        (plan({"action": "emote", "intensity": 0.5}), "actions.0.emote.name"),
        (plan(gesture("moonwalk")), "actions.0.gesture.name"),
        (plan(gesture("look_at")), "bearing"),
        (plan(gesture("look_at", bearing=181)), "bearing"),
        (plan(gesture("look_at", bearing="left")), "bearing"),
        (plan(gesture("nod", notes="x" * 600)), "params"),
        (plan(gesture("nod", notes="\ud800")), "params"),
        (plan(skill("fly")), "actions.0.skill.name"),
        (plan(skill("scan_for_target")), "scan_for_target is not offered"),
        (plan({"action": "explode"}), "actions.0"),
        (plan(say("x" * 201)), "actions.0.say.text"),
        (plan(say("   ")), "actions.0.say.text"),
        (plan(say("ring\u0007")), "actions.0.say.text"),
        (plan(say("half \ud83d")), "actions.0.say.text"),
        (plan(HAPPY, HAPPY, HAPPY), "3 of them, at most 2"),
        (plan(ttl_ms=499), "ttl_ms"),
        (plan(ttl_ms=5001), "ttl_ms"),
        ('{"actions": [], "ttl_ms": "soon"}', "ttl_ms"),
        ('{"actions": [{"action": "emote", "name": "happy", "intensity": NaN}]}', "no JSON"),
        ('{"actions": [{"action": "emote", "name": "happy", "intensity": 1e999}]}', "intensity"),
        ('{"actions": [{"action": "gesture", "name": "nod", "params": {"n": 1e999}}]}', "params"),
        ('{"actions": [1]}', "actions.0"),
        ('{"actions": ' + "[" * 5000, "no JSON"),
        ('{"actions": [' + "1" * 5000 + "]}", "no JSON"),
        ("{" * 5000, "no JSON"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_refused_and_never_clamped(text: str, why: str) -> None:
    with pytest.raises(PlanInvalid) as refused:
        plan_of(text, max_actions=2)
    assert why in str(refused.value)


def test_other_skills_pass_where_they_are_offered() -> None:
    text = plan(skill("scan_for_target"))
    assert actions(text, skills=ALL_SKILLS) == [skill("scan_for_target")]


def test_a_line_break_in_a_text_harms_nobody() -> None:
    assert actions('{"actions": [{"action": "say", "text": "one\ntwo"}]}') == [say("one\ntwo")]


# -- properties --------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(("say", "emote", "gesture", "skill", "happy", "look_at", "nod", "sleepy",
                       "patrol_drift")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(("action", "actions", "name", "params", "text", "intensity", "bearing",
                         "ttl_ms", "type", "plan", "say", "emote", "gesture", "skill"))
        | st.text(max_size=4),
        inner, max_size=5),
    max_leaves=25,
)  # fmt: skip
texts = st.lists(
    st.sampled_from(('{"actions": [', "]", "{", "}", '"', ",", ":", "[", "NaN", "\\", "```", " ",
                     '"action"', '"say"', '"text"', '"name"', '"emote"', '"happy"', "1e999"))
    | st.text(max_size=5), max_size=30,
).map("".join)  # fmt: skip


@given(
    st.one_of(
        texts,
        json_values.map(json.dumps),
        st.lists(json_values, max_size=6).map(lambda a: json.dumps({"actions": a})),
    )
)
def test_any_text_is_a_plan_within_all_bounds_or_refused(text: str) -> None:
    try:
        made = plan_of(text, max_actions=3)
    except PlanInvalid as refused:
        assert str(refused)
    else:
        assert len(made.actions) <= 3
        assert made.model_dump_json()  # it can be sent
        assert PlanOutput.model_validate_json(made.model_dump_json()) == made


speech = st.text(
    st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=200
).filter(str.strip)  # fmt: skip
params = st.dictionaries(
    st.text(st.characters(codec="ascii"), max_size=6),
    st.integers() | st.booleans() | st.text(max_size=9),
    max_size=4,
)
valid_actions = st.one_of(
    speech.map(say),
    st.builds(emote, st.sampled_from(EMOTIONS), st.floats(0, 1)),
    st.sampled_from(ALL_SKILLS).map(skill),
    st.floats(-180, 180).map(lambda bearing: gesture("look_at", bearing=bearing)),
    st.builds(
        lambda name, params: {"action": "gesture", "name": name, "params": params},
        st.sampled_from([name for name in GESTURES if name != "look_at"]), params,
    ),
)  # fmt: skip


@given(st.lists(valid_actions, max_size=5), st.integers(MIN_TTL_MS, MAX_TTL_MS))
def test_a_valid_plan_passes_through_unchanged(some: list[dict[str, Any]], ttl_ms: int) -> None:
    made = plan_of(json.dumps({"actions": some, "ttl_ms": ttl_ms}), skills=ALL_SKILLS)
    assert made.model_dump() == {"actions": some, "ttl_ms": ttl_ms}


def test_the_seeds_own_plan_passes_through_unchanged() -> None:
    made = plan_of(json.dumps({"actions": SEED_ACTIONS, "ttl_ms": 2000}))
    assert made == PlanOutput.model_validate({"actions": SEED_ACTIONS, "ttl_ms": 2000})
