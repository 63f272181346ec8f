"""Text, calls and thoughts come apart the same way however the stream is cut."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.engines.llm.schema_check import problem
from brain.engines.llm.tool_calls import MARKERS, ReplyParser
from brain.engines.ports import Text, ToolCall, ToolSpec

DANCE = ToolSpec(
    "dance",
    "Dance.",
    {
        "type": "object",
        "properties": {
            "move": {"type": "string", "enum": ["spin", "wave"]},
            "repeat": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["move"],
    },
)
STOP = ToolSpec("stop", "Stop.", {"type": "object", "properties": {}})
TOOLS = (DANCE, STOP)

SPIN = ToolCall("dance", '{"move": "spin"}')


def parse(pieces: list[str], *, thinking: bool = False) -> tuple[list[Text | ToolCall], int]:
    """All that comes out, neighbouring texts joined, and how many calls were dropped."""
    parser = ReplyParser(TOOLS, thinking=thinking)
    items = [item for piece in pieces for item in parser.feed(piece)] + parser.finish()
    joined: list[Text | ToolCall] = []
    for item in items:
        last = joined[-1] if joined else None
        if isinstance(item, Text) and isinstance(last, Text):
            joined[-1] = Text(last.text + item.text)
        else:
            joined.append(item)
    return joined, parser.dropped


CASES = {
    "Hello there.": ([Text("Hello there.")], 0),
    "  \n Hello": ([Text("Hello")], 0),
    '<tool_call>\n{"name": "dance", "arguments": {"move": "spin"}}\n</tool_call>': ([SPIN], 0),
    'Sure! <tool_call>{"name": "dance", "arguments": {"move": "spin"}}</tool_call>\nDone.': (
        [Text("Sure! "), SPIN, Text("Done.")],
        0,
    ),
    '<tool_call>{"name":"dance","arguments":{"move":"spin"}}</tool_call>'
    '<tool_call>{"name":"stop","arguments":{}}</tool_call>': ([SPIN, ToolCall("stop", "{}")], 0),
    '<tool_call>{"name":"dance","arguments":{"move":"spin"}}': ([SPIN], 0),
    '{"name": "dance", "parameters": {"move": "spin"}}': ([SPIN], 0),
    '<|python_tag|>{"type": "function", "name": "dance", "parameters": {"move": "spin"}}; '
    '{"name": "stop", "parameters": {}}': ([SPIN, ToolCall("stop", "{}")], 0),
    '{"type": "function", "function": {"name": "stop", "parameters": {}}}': (
        [ToolCall("stop", "{}")],
        0,
    ),
    '{"answer": 4} is JSON.': ([Text('{"answer": 4} is JSON.')], 0),
    'A brace: {"name": 3}': ([Text('A brace: {"name": 3}')], 0),
    '[TOOL_CALLS] [{"name": "dance", "arguments": {"move": "spin"}}, {"name": "stop"}]': (
        [SPIN, ToolCall("stop", "{}")],
        0,
    ),
    '[TOOL_CALLS]dance[ARGS]{"move": "spin"}[TOOL_CALLS]stop[CALL_ID]abc[ARGS]{}': (
        [SPIN, ToolCall("stop", "{}")],
        0,
    ),
    '{"name": "dance", "arguments": "{\\"move\\": \\"spin\\"}"}': ([SPIN], 0),
    "<think>\nHmm, <tool_call> maybe.\n</think>\n\nHello.": ([Text("Hello.")], 0),
    "<think>never ends": ([], 0),
    "<think>": ([], 0),
    "<think></think>Hello.": ([Text("Hello.")], 0),
    # One thought in another, and one that only speaks of thoughts: neither is spoken, and no answer
    # is lost.
    "<think>a<think>b</think>c</think>Hello.": ([Text("Hello.")], 0),
    "<think>a<think>b<think>c</think>d</think>e</think>Hello.": ([Text("Hello.")], 0),
    "<think>Do they say <think>?</think>Hello.": ([Text("Hello.")], 0),
    "<think>a<think>b</think>": ([], 0),
    "<think>a</think>Hello.<think>b</think> Bye.": ([Text("Hello. Bye.")], 0),
    '<think>a <think> b</think><tool_call>{"name": "stop"}</tool_call>': (
        [ToolCall("stop", "{}")],
        0,
    ),
    "[happy] Hi [nod]": ([Text("[happy] Hi [nod]")], 0),
    "1 < 2 and <t": ([Text("1 < 2 and <t")], 0),
    "Bye.</tool_call>": ([Text("Bye.")], 0),
    # What is broken is never spoken.
    '<tool_call>{"name": "dance", "argum': ([], 1),
    "Sure. <tool_cal": ([Text("Sure. ")], 1),
    '<tool_call>{"name": "fly", "arguments": {}}</tool_call>Hm.': ([Text("Hm.")], 1),
    '<tool_call>{"name": "dance", "arguments": {}}</tool_call>': ([], 1),
    '<tool_call>{"name": "dance", "arguments": {"move": "jump"}}</tool_call>': ([], 1),
    '<tool_call>{"name": "dance", "arguments": {"move": "spin", "repeat": 99}}</tool_call>': (
        [],
        1,
    ),
    '<tool_call>{"name": "dance", "arguments": [1]}</tool_call>': ([], 1),
    '<tool_call>{"name": "dance" "x"}</tool_call>Sorry.': ([Text("Sorry.")], 1),
    "<tool_call>dance()</tool_call>Sorry.": ([Text("Sorry.")], 1),
    "<tool_call></tool_call>Sorry.": ([Text("Sorry.")], 1),
    '<|python_tag|>brave_search.call(query="x")': ([], 1),
    '{"name": "dance"': ([], 1),
    "[TOOL_CALLS]": ([], 1),
    '<tool_call>{"name":"stop","arguments":{"x":NaN}}</tool_call>': ([], 1),
    '<tool_call>{"name":"stop","arguments":{"x":1e999}}</tool_call>': ([], 1),
}


@pytest.mark.parametrize("text", list(CASES))
def test_known_forms(text: str) -> None:
    assert parse([text]) == CASES[text]


@pytest.mark.parametrize("text", list(CASES))
def test_a_character_at_a_time_is_the_same(text: str) -> None:
    assert parse(list(text)) == CASES[text]


def test_a_prompt_that_ended_in_a_thought() -> None:
    assert parse(["so they ", "want</th", "ink>\n\nHi."], thinking=True) == ([Text("Hi.")], 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello there.", "Hello there."),
        ("<think>a</think>Hello.", "Hello."),
        ("a<think>b</think>c</think>Hello.", "Hello."),
        ("", ""),
    ],
)
def test_a_prompt_that_had_not_ended_in_a_thought_loses_no_answer(text: str, said: str) -> None:
    for pieces in ([text], list(text)):
        items, dropped = parse(pieces, thinking=True)
        assert "".join(item.text for item in items if isinstance(item, Text)) == said
        assert dropped == 0


@pytest.mark.parametrize(
    ("text", "thinking", "began"),
    [
        ("They greet me.</think>Hello.", False, True),
        ("They greet me.</think>Hello.", True, True),
        ("Hello.", False, False),
        ("Hello.", True, False),
        ("</think>Hello.", False, False),
        ("<think>a</think>Hello.</think>", False, False),
        ("<think>a</think>Hello.", True, False),
    ],
)
def test_it_is_known_at_the_end_whether_a_reply_began_in_a_thought(
    text: str, thinking: bool, began: bool
) -> None:
    parser = ReplyParser(TOOLS, thinking=thinking)
    for letter in text:
        parser.feed(letter)
    parser.finish()
    assert parser.began_in_thought == began


def test_text_comes_at_once() -> None:
    parser = ReplyParser(TOOLS)
    assert parser.feed("Hel") == [Text("Hel")]
    assert parser.feed("lo <") == [Text("lo ")]
    assert parser.feed("3") == [Text("<3")]


def test_a_string_that_holds_the_closer_is_a_string() -> None:
    say = ToolSpec("say", "", {"type": "object", "properties": {"text": {"type": "string"}}})
    parser = ReplyParser([say])
    body = json.dumps({"name": "say", "arguments": {"text": "</tool_call> } ]"}})
    items = parser.feed(f"<tool_call>{body}</tool_call>") + parser.finish()
    assert items == [ToolCall("say", '{"text": "</tool_call> } ]"}')]


def test_half_a_surrogate_pair_is_made_text() -> None:
    say = ToolSpec("say", "", {"type": "object"})
    parser = ReplyParser([say])
    call = parser.feed('<tool_call>{"name":"say","arguments":{"t":"\\ud800"}}</tool_call>')[0]
    assert isinstance(call, ToolCall)
    assert call.arguments.encode()


_fragments = st.one_of(
    st.sampled_from(
        [
            *MARKERS,
            "[ARGS]",
            '{"name": "dance", "arguments": {"move": "spin"}}',
            '{"name": "stop", "parameters": {}}',
            '{"name": ',
            "{",
            "}",
            '"',
            "[",
            "]",
            "\n",
            " ",
            ";",
            "dance",
            "Hello.",
            "<",
            "\\",
        ]
    ),
    st.text(max_size=5),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_fragments, max_size=12), st.lists(st.integers(0, 400), max_size=30), st.booleans())
def test_any_cutting_gives_the_same(fragments: list[str], cuts: list[int], thinking: bool) -> None:
    text = "".join(fragments)
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    whole = parse([text], thinking=thinking)
    assert parse(pieces, thinking=thinking) == whole
    assert parse(list(text), thinking=thinking) == whole
    for item in whole[0]:
        if isinstance(item, Text):
            assert not any(marker in item.text for marker in MARKERS)
        else:
            assert isinstance(json.loads(item.arguments), dict)
            assert item.name in {"dance", "stop"}


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        ({"a": 1}, {"type": "object", "required": ["a"]}, True),
        ({}, {"type": "object", "required": ["a"]}, False),
        ({"a": True}, {"properties": {"a": {"type": "integer"}}}, False),
        ({"a": 2.0}, {"properties": {"a": {"type": "integer"}}}, True),
        ({"a": None}, {"properties": {"a": {"type": ["string", "null"]}}}, True),
        ({"b": 1}, {"properties": {"a": {}}, "additionalProperties": False}, False),
        ({"a": [1, "x"]}, {"properties": {"a": {"items": {"type": "integer"}}}}, False),
        ({"a": 5}, {"properties": {"a": {"anyOf": [{"type": "string"}, {"const": 5}]}}}, True),
        ({"a": 6}, {"properties": {"a": {"anyOf": [{"type": "string"}, {"const": 5}]}}}, False),
        ({"a": 6}, {"type": "mystery"}, True),
    ],
)
def test_schema_check(value: object, schema: dict[str, object], fits: bool) -> None:
    assert (problem(value, schema) is None) == fits
