"""The check of the models: that it tells right from wrong, and that its sets are sound."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.engines.ports import EngineFailed, ToolCall
from brain.ops import (
    check_data,
    check_ears,
    check_figures,
    check_mind,
    check_mouth,
    check_plans,
)
from brain.ops.check_figures import Bound, Figure
from brain.ops.check_replies import Answer, Judge, call_is_valid, fills, plain
from brain.ops.check_texts import product_texts
from brain.planner.schema import PlanRequest
from tests import virtual_time
from tests.scripted_engines import ScriptedMind, ScriptedMouth, ScriptedTranscriber

T = TypeVar("T")
REPLIES = {
    "greeting": ("Hello! Nice to see you.", "Hi! How can I help you?"),
    "recall_name": ("Your name is {name}.",),
    "count_up": ("One, two, three.", "One, two, three, four, five."),
}
JUDGE = Judge(REPLIES)


@pytest.fixture(scope="module")
def data() -> check_data.Evaluation:
    return check_data.read()


# -- replies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "said", "right"),
    [
        ({"reply": "greeting"}, "hi, how can i help you", True),
        ({"reply": "greeting"}, "Hi! How can I help?", False),
        ({"reply": "greeting"}, "", False),
        ({"reply": "recall_name", "slots": {"name": "Anna"}}, "Your name is Anna.", True),
        ({"reply": "recall_name", "slots": {"name": "Anna"}}, "Your name is Ann.", False),
        ({"reply": "count_up", "matches": "one two three"}, "One, two, three.", True),
        ({"reply": "count_up", "matches": "one two three"}, "One, two, three, four, five.", False),
        ({"repeat": True}, "What was before.", True),
        ({"repeat": True}, "Something else.", False),
        ({"idle": True}, "", False),
        ({"call": {"name": "dance", "arguments": {}}}, "Look, I am dancing!", False),
    ],
)  # fmt: skip
def test_replies(expect: dict[str, Any], said: str, right: bool) -> None:
    fault = JUDGE.fault(
        expect, Answer(said), said_before="what was before", offered=["dance", "camera"]
    )
    assert (fault is None) is right


@pytest.mark.parametrize(
    ("arguments", "right"),
    [('{"direction": "left"}', True), ('{"direction": "right"}', False), ("{}", False),
     ('{"direction": "left", "more": 1}', False)],
)  # fmt: skip
def test_a_call_is_right_with_just_its_arguments(arguments: str, right: bool) -> None:
    expect = {"call": {"name": "move_head", "arguments": {"direction": "left"}}}
    answer = Answer("", (ToolCall("move_head", arguments),))
    assert (JUDGE.fault(expect, answer) is None) is right
    assert JUDGE.fault(expect, Answer("I do.", answer.calls)) is not None
    assert JUDGE.fault(expect, Answer("", answer.calls * 2)) is not None
    assert JUDGE.fault({"reply": "greeting"}, answer) is not None


def test_idle_is_for_calls_that_a_robot_may_make_by_itself() -> None:
    dance, look = ToolCall("dance", "{}"), ToolCall("camera", '{"question": "?"}')
    idle = {"idle": True}
    assert JUDGE.fault(idle, Answer("", (dance,)), offered=["dance"]) is None
    assert JUDGE.fault(idle, Answer("", (look,)), offered=["dance", "camera"]) is not None
    assert JUDGE.fault(idle, Answer(""), offered=["dance"]) is not None
    assert JUDGE.fault(idle, Answer(""), offered=["camera"]) is None


def test_a_free_mind_is_judged_by_its_calls_alone() -> None:
    free = Judge(REPLIES, exact=False)
    assert free.fault({"reply": "greeting"}, Answer("Good to have you here.")) is None
    assert free.fault({"reply": "greeting"}, Answer("")) is not None
    assert free.fault({"reply": "greeting"}, Answer("", error="out of memory")) is not None
    assert free.fault({"reply": "greeting"}, Answer("", (ToolCall("dance", "{}"),))) is not None


@given(st.text(), st.text(max_size=8))
def test_any_text_is_compared_without_an_error(said: str, name: str) -> None:
    assert plain(plain(said)) == plain(said)
    assert fills("Your name is {name}.", plain(f"Your name is {name}."), {"name": name})


def test_validity_of_calls(data: check_data.Evaluation) -> None:
    tools = [data.tools["move_head"], data.tools["head_tracking"]]
    assert call_is_valid(ToolCall("move_head", '{"direction": "up"}'), tools)
    for name, arguments in (
        ("move_head", '{"direction": "backwards"}'),
        ("move_head", "{}"),
        ("move_head", '{"direction": "up", "speed": 1}'),
        ("move_head", '{"direction": '),
        ("move_head", "[]"),
        ("head_tracking", '{"start": "yes"}'),
        ("dance", "{}"),
    ):
        assert not call_is_valid(ToolCall(name, arguments), tools), (name, arguments)


# -- plans -------------------------------------------------------------------------------------

LOOK = {"action": "gesture", "name": "look_at", "params": {"bearing": 15.0}}
GO = {"action": "skill", "name": "investigate_ball"}
SAY = {"action": "say", "text": "Oh! A ball!"}


@pytest.mark.parametrize(
    ("check", "plan", "right"),
    [
        ({"look_at": 15.2}, [LOOK], True),
        ({"look_at": 18.0}, [LOOK], False),
        ({"look_at": 15.2}, [{**LOOK, "params": {}}], False),
        ({"skill": ["investigate_ball"]}, [GO], True),
        ({"not_skill": ["investigate_ball"]}, [GO], False),
        ({"not_skill": ["investigate_ball"]}, [LOOK], True),
        ({"not_says": r"\bballs?\b"}, [SAY], False),
        ({"says": r"\bballs?\b"}, [SAY], True),
        ({"quiet": True}, [SAY], False),
        ({"at_most": 0}, [], True),
        ({"at_most": 0}, [GO], False),
        ({"any_of": [{"at_most": 0}, {"skill": ["investigate_ball"]}]}, [GO], True),
        ({"any_of": [{"at_most": 0}, {"emote": ["happy"]}]}, [GO], False),
    ],
)  # fmt: skip
def test_plans(check: dict[str, Any], plan: list[dict[str, Any]], right: bool) -> None:
    assert (check_plans.faults([check], plan) == []) is right


def test_an_unknown_check_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown check"):
        check_plans.faults([{"smells": "nice"}], [])


# -- figures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "more_is_better", "bound", "verdict"),
    [
        (0.98, True, Bound(0.97, 0.9), "good"),
        (0.95, True, Bound(0.97, 0.9), "as in the card"),
        (0.89, True, Bound(0.97, 0.9), "missed"),
        (0.89, True, Bound(0.97), "missed"),
        (0.01, False, Bound(0.05), "good"),
        (0.06, False, Bound(0.05, 0.1), "as in the card"),
        (float("nan"), True, Bound(0.5, 0.4), "missed"),
        (3.0, False, Bound(), "measured"),
    ],
)
def test_verdicts(value: float, more_is_better: bool, bound: Bound, verdict: str) -> None:
    figure = Figure("k", "l", value, "share", 1, more_is_better, bound=bound)
    assert figure.verdict == verdict
    written = json.loads(check_figures.as_json([figure], full=False))
    assert written["ok"] is (verdict != "missed")
    assert written["figures"]["k"]["verdict"] == verdict


@given(st.integers(0, 60), st.none() | st.integers(0, 80))
def test_a_sample_is_always_the_same(size: int, count: int | None) -> None:
    chosen = check_data.sample(range(size), count)
    assert chosen == check_data.sample(range(size), count)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == (size if count is None else min(size, count))


# -- sound -------------------------------------------------------------------------------------


def test_a_jump_between_two_pieces_is_a_click_and_a_wave_is_not() -> None:
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4000) / 16000).astype(np.float32)
    still = np.zeros(800, np.float32)
    assert check_mouth.clicks([wave[:1500], wave[1500:3000]], 16000) == []
    assert check_mouth.clicks([still, np.full(800, 0.2, np.float32)], 16000) != []
    ends_high = wave[: 1000 + int(np.argmax(wave[1000:1100]))]
    assert check_mouth.clicks([ends_high, still], 16000) != []
    assert check_mouth.clicks([], 16000) == []


def run(check: Coroutine[Any, Any, T]) -> T:
    return virtual_time.run_virtual(check)


def test_what_ears_mishear_is_counted(data: check_data.Evaluation) -> None:
    def speak(text: str, _who: check_ears.Speaker) -> check_ears.Sound:
        return np.sin(np.arange(len(text) * 800) / 9).astype(np.float32)

    sizes = check_ears.Sizes(quiet=8, noise=4, nothing=6)

    async def figures(said: list[str | Exception]) -> dict[str, Figure]:
        ears = ScriptedTranscriber(said)
        found, heard = await check_ears.EarsCheck(ears, speak, data.ears).figures(
            ["Hello there."], sizes
        )
        assert [phrase for phrase, _ in heard] == ["Hello there."] * len(heard)
        return {figure.key: figure for figure in found}

    good = run(figures(["hello THERE"]))
    assert good["ears.quiet"].value == good["ears.noise"].value == 1.0
    assert good["ears.nothing"].value == 0.0
    half = run(figures(["hello there", EngineFailed("broken")]))
    assert half["ears.quiet"].value == 0.5
    assert "failed: broken" in half["ears.quiet"].misses[0]


def test_a_mouth_that_fails_is_counted() -> None:
    async def figures() -> dict[str, Figure]:
        mouth = ScriptedMouth(failures=[None, EngineFailed("no breath")])

        async def hear(_sound: check_mouth.Sound) -> str:
            return "yes"

        found = await check_mouth.MouthCheck(mouth, hear).figures(
            ["Yes.", "Yes!", "No."], [["Well,", "yes."]], ["a", "b", "c", "d"]
        )
        return {figure.key: figure for figure in found}

    found = run(figures())
    assert found["mouth.understood"].value == pytest.approx(1 / 3)
    assert found["mouth.any_text"].value == 0.5


# -- minds and the held-out sets ---------------------------------------------------------------


def test_a_mind_that_always_says_the_same_is_right_where_that_is_right(
    data: check_data.Evaluation,
) -> None:
    async def figures() -> dict[str, Figure]:
        mind = ScriptedMind(["Hello! Nice to see you."])
        check = check_mind.MindCheck(mind, product_texts(5), data, Judge(data.replies))
        return {f.key: f for f in await check.figures(check_mind.Sizes())}

    found = run(figures())
    greetings = [
        row for row in data.unseen if row["expect"].get("reply") == "greeting" and not row["moods"]
    ]
    wrong = found["mind.unseen"]
    assert 0 < wrong.cases - len(wrong.misses) <= len(greetings)
    assert found["mind.plans"].value == found["mind.conversations"].value == 0.0


def test_the_held_out_sets_are_sound(data: check_data.Evaluation) -> None:
    texts = [plain(row["text"]) for row in data.unseen if "text" in row]
    assert len(texts) == len(set(texts)) >= 250
    assert sum("text" in row and row["id"] not in data.trained for row in data.unseen) >= 250
    assert len(data.conversations) >= 25
    assert len(data.plans) >= 60
    turns = [turn for row in data.conversations for turn in row["turns"]]
    assert len(turns) == 3 * len(data.conversations)
    expected = [row["expect"] for row in (*data.unseen, *data.repertoire)]
    expected += [turn[key] for turn in turns for key in ("expect", "after") if key in turn]
    for expect in expected:
        if "reply" in expect:
            assert expect["reply"] in data.replies
    for row in (*data.unseen, *data.conversations):
        assert len(row["tools"]) <= 14
        assert set(row["tools"]) <= data.tools.keys()
    for row in data.plans:
        PlanRequest.model_validate(row["state"])
        check_plans.faults(row["checks"], [LOOK, GO, SAY])


def test_every_expected_call_is_a_valid_one(data: check_data.Evaluation) -> None:
    for row in (*data.unseen, *data.repertoire):
        if "call" in row["expect"]:
            call = row["expect"]["call"]
            made = ToolCall(call["name"], json.dumps(call["arguments"]))
            assert call_is_valid(made, [data.tools[name] for name in row["tools"]]), row
