"""History: append-only, trimmed in one step, whole for any model."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from brain.dialogue.history import History
from brain.engines.ports import Message, ToolCall

CALL = ToolCall("dance", "{}", "call_1")


def test_a_result_that_comes_early_waits_for_its_call() -> None:
    history = History()
    history.user_said("dance")
    history.tool_answered("call_1", "ok")
    history.assistant_said("", [CALL])
    assert [message.role for message in history.messages()] == ["user", "assistant", "tool"]
    assert history.messages()[-1] == Message("tool", "ok", call_id="call_1", name="dance")


def test_every_call_gets_an_answer() -> None:
    history = History()
    history.assistant_said("", [CALL, ToolCall("nod", "{}", "call_2")])
    history.tool_answered("call_2", "ok")
    history.settle("no result")
    history.settle("no result")
    assert [(m.call_id, m.content) for m in history.messages() if m.role == "tool"] == [
        ("call_2", "ok"),
        ("call_1", "no result"),
    ]


def test_a_reply_of_which_nothing_was_heard_is_not_there() -> None:
    history = History()
    history.user_said("one")
    history.assistant_said("")
    history.user_said("two")
    assert history.messages() == (Message("user", "one\ntwo"),)


def test_words_that_are_heard_late_go_before_those_of_later_turns() -> None:
    history = History()
    history.user_said("one", 1)
    assert not history.user_had_said("two", 2)  # they are the newest
    history.user_said("four", 4)
    history.assistant_said("Four it is.")
    history.user_said("five", 5)
    assert history.user_had_said("three", 3)
    assert history.messages() == (
        Message("user", "one\nthree\nfour"),
        Message("assistant", "Four it is."),
        Message("user", "five"),
    )


def test_words_that_are_heard_late_keep_to_the_budget() -> None:
    history = History(budget=200)
    history.user_said("x" * 90, 2)
    history.assistant_said("y" * 40)
    assert history.user_had_said("z" * 90, 1)
    assert sum(len(message.content) for message in history.messages()) <= 200


def test_what_was_too_long_to_be_answered_does_not_make_the_next_question_too_long() -> None:
    history = History(budget=4_000)
    history.user_said("x" * 3_900)
    history.user_said("What is your name?")
    assert history.messages() == (Message("user", "What is your name?"),)


def test_the_oldest_turns_go_in_one_step_down_to_half() -> None:
    history = History(budget=1_000)
    sizes = []
    for i in range(100):
        history.user_said(f"{i:03d} " + "x" * 40)
        history.assistant_said("y" * 40)
        sizes.append(len(history.messages()))
    drops = [a - b for a, b in itertools.pairwise(sizes) if b < a]
    assert drops
    assert min(drops) > 4  # rarely and much, so that the prefix holds in between
    assert history.messages()[0].role == "user"
    assert history.messages()[-2].content.startswith("099")


def test_a_long_tool_loop_is_trimmed_and_keeps_its_question() -> None:
    history = History(budget=500)
    history.user_said("what do you see?")
    for i in range(50):
        history.assistant_said("", [ToolCall("look", "{}", f"call_{i}")])
        history.tool_answered(f"call_{i}", "z" * 60)
    messages = history.messages()
    assert messages[0].content == "what do you see?"
    assert sum(len(message.content) for message in messages) <= 500
    calls = {call.call_id for message in messages for call in message.tool_calls}
    assert {message.call_id for message in messages if message.role == "tool"} == calls


def test_results_of_forgotten_calls_do_not_pile_up() -> None:
    history = History()
    for i in range(1_000):
        history.tool_answered(f"call_{i}", "ok")
    assert len(history._early) <= 16


@given(st.lists(st.sampled_from(["user", "assistant"]), max_size=60))
def test_within_the_budget_what_was_there_stays_as_it_was(roles: list[str]) -> None:
    history = History(budget=100_000)
    before: tuple[Message, ...] = ()
    for i, role in enumerate(roles):
        (history.user_said if role == "user" else history.assistant_said)(f"text {i}")
        now = history.messages()
        # All but the last message, which a second one of the same user may join.
        assert now[: max(len(before) - 1, 0)] == before[:-1]
        before = now
