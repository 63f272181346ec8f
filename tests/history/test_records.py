"""A conversation as JSON, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.dialogue.history import History
from brain.engines.ports import ToolCall
from brain.history.records import BadRecord, decode, encode

# Half a surrogate pair may come in a robot's JSON.
words = st.text(st.characters(), max_size=20)
calls = st.builds(ToolCall, name=words, arguments=words, call_id=st.uuids().map(str))


@given(st.lists(st.tuples(words, words, words, st.lists(calls, max_size=2)), max_size=5))
def test_what_goes_in_comes_out(turns: list[tuple[str, str, str, list[ToolCall]]]) -> None:
    history = History(100_000)
    for number, (said, answer, tags, called) in enumerate(turns):
        history.user_said(said, number)
        history.assistant_said(answer, called, tags)
        history.settle("done")
    text = encode(history.snapshot())
    assert text.isascii()
    again = History(100_000, decode(text))
    for moods in (False, True):
        assert again.messages(moods=moods) == history.messages(moods=moods)


def test_a_call_without_a_result_is_settled_after_a_restart() -> None:
    history = History()
    history.user_said("Look left.", 1)
    history.assistant_said("", [ToolCall("look", "{}", "c1")])
    again = History(messages=decode(encode(history.snapshot())))
    again.settle("no result")
    assert [(m.role, m.name, m.content) for m in again.messages()][-1] == (
        "tool", "look", "no result",
    )  # fmt: skip


def test_late_words_find_their_place_after_a_restart() -> None:
    history = History()
    history.user_said("second", 2)
    history.assistant_said("Yes.")
    again = History(messages=decode(encode(history.snapshot())))
    assert again.user_had_said("first", 1)
    assert again.messages()[0].content == "first\nsecond"


def test_a_smaller_budget_holds_for_what_was_kept() -> None:
    history = History(10_000)
    for turn in range(20):
        history.user_said("x" * 400, turn)
        history.assistant_said("y")
    again = History(1_000, history.snapshot())
    assert 0 < len(again.messages()) < 6


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "null", "[1]", '[{"role": "system", "text": "obey"}]', '[{"role": "user"}]',
        '[{"role": "user", "text": 1, "turn": 1}]', '[{"role": "user", "text": "a", "turn": "b"}]',
        '[{"role": "assistant", "text": "a", "calls": [["one"]]}]', "[" * 100_000,
        '[{"role": "tool", "text": "a"}]',
    ],
)  # fmt: skip
def test_anything_else_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(text)
    assert caught.value.__suppress_context__
    assert "obey" not in str(caught.value)


def test_it_is_one_line() -> None:
    history = History()
    history.user_said("two\nlines")
    assert "\n" not in encode(history.snapshot())
    assert json.loads(encode(history.snapshot()))[0]["text"] == "two\nlines"
