"""Chunks of all the kinds that servers send become text and calls. No I/O."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.engines.llm.openai_reply import BrokenChunkError, StreamedReply
from brain.engines.ports import Text, ToolCall, ToolSpec

MOVE = ToolSpec(
    "move",
    "Move.",
    {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
)
STOP = ToolSpec("stop", "Stop.", {"type": "object", "properties": {}})


def chunk(end: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}


def piece(**fields: Any) -> dict[str, Any]:
    function = {k: fields.pop(k) for k in ("name", "arguments") if k in fields}
    return {"type": "function", "function": function, **fields}


def reply_to(*chunks: Any, plain: bool = False) -> tuple[str, list[tuple[str, Any]], StreamedReply]:
    """Text, calls, and the reply itself."""
    reply = StreamedReply((MOVE, STOP), plain=plain)
    parts = [part for c in chunks for part in reply.feed(c)] + reply.finish()
    text = "".join(part.text for part in parts if isinstance(part, Text))
    calls = [(p.name, json.loads(p.arguments)) for p in parts if isinstance(p, ToolCall)]
    return text, calls, reply


def test_text_comes_at_once() -> None:
    reply = StreamedReply()
    assert reply.feed(chunk(content="Hello")) == [Text("Hello")]
    assert not reply.ended
    assert reply.feed(chunk("stop")) == []
    assert reply.ended


def test_what_is_no_text_is_passed_over() -> None:
    text, _, reply = reply_to(
        chunk(role="assistant", content=None),
        {"choices": []},
        {"usage": {"total_tokens": 3}},
        {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
        chunk(reasoning_content="I should say", content=None),
        chunk(reasoning="hello"),
        chunk(content="Hel"),
        chunk(content="lo."),
        chunk("stop", content=""),
    )
    assert text == "Hello."
    assert reply.ended


def test_thoughts_in_the_text_are_not_spoken() -> None:
    text, _, _ = reply_to(chunk(content="<thi"), chunk(content="nk>Hm.</think>\n\nYes."))
    assert text == "Yes."


def test_content_in_parts() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Yes."}]
    assert reply_to(chunk(content=parts))[0] == "Yes."


@settings(max_examples=50)
@given(st.lists(st.integers(1, 5), max_size=6), st.lists(st.booleans(), max_size=30))
def test_calls_in_pieces_of_any_size_in_turn(sizes: list[int], turns: list[bool]) -> None:
    waiting = []
    for index in range(2):
        arguments, pieces = json.dumps({"x": 41 + index}), []
        for size in [*sizes, 100]:
            pieces.append(piece(index=index, arguments=arguments[:size]))
            arguments = arguments[size:]
        waiting.append([piece(index=index, id=f"c{index}", name="move"), *pieces])
    chunks = [chunk(tool_calls=[pieces.pop(0)]) for pieces in waiting]
    chunks += [chunk(tool_calls=[waiting[t].pop(0)]) for t in turns if waiting[t]]
    chunks += [chunk(tool_calls=[left]) for pieces in waiting for left in pieces]
    _, calls, reply = reply_to(*chunks, chunk("tool_calls"))
    assert calls == [("move", {"x": 41}), ("move", {"x": 42})]
    assert reply.dropped == 0


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(index=0, id="a", name="move", arguments='{"x": 1}'), piece(index=1, name="stop")],
        # Every whole call with the index 0 (an older Ollama).
        [
            piece(index=0, id="a", name="move", arguments='{"x": 1}'),
            piece(index=0, id="b", name="stop", arguments="{}"),
        ],
        # No index and no id (Gemini's), arguments as an object.
        [piece(name="move", arguments={"x": 1}), piece(name="stop", arguments="")],
        # No index; the id with every piece.
        [
            piece(id="a", name="move", arguments='{"x"'),
            piece(id="a", arguments=": 1}"),
            piece(id="b", name="stop", arguments="{}"),
        ],
        # The name with every piece.
        [
            piece(index=0, id="a", name="move", arguments='{"x"'),
            piece(index=0, id="a", name="move", arguments=": 1}"),
            piece(index=1, id="b", name="stop", arguments=None),
        ],
    ],
)
def test_calls_however_they_come(pieces: list[dict[str, Any]]) -> None:
    expected = [("move", {"x": 1}), ("stop", {})]
    one_by_one = [chunk(tool_calls=[p]) for p in pieces]
    assert reply_to(*one_by_one)[1] == expected
    assert reply_to(chunk("tool_calls", tool_calls=pieces))[1] == expected


def test_a_call_in_the_text_of_a_server_that_parses_none() -> None:
    said = '<tool_call>\n{"name": "move", "arguments": {"x": 1}}\n</tool_call>'
    text, calls, _ = reply_to(*(chunk(content=c) for c in said))
    assert text == ""
    assert calls == [("move", {"x": 1})]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (piece(index=0, name="fly", arguments="{}"), "not offered"),
        (piece(index=0, name="move", arguments='{"x": "one"}'), "not valid"),
        (piece(index=0, name="move", arguments='{"x": 1'), "not a JSON object"),
        (piece(index=0, name="move", arguments="[1]"), "not a JSON object"),
        (piece(index=0, arguments="{}"), "not offered"),
    ],
)
def test_calls_that_break_the_rules_are_dropped(call: dict[str, Any], reason: str) -> None:
    text, calls, reply = reply_to(chunk(content="Yes."), chunk("tool_calls", tool_calls=[call]))
    assert (text, calls) == ("Yes.", [])
    assert reply.dropped == 1
    assert reason in reply.reason


def test_endless_calls_end() -> None:
    calls = [piece(index=i, name="stop", arguments="{}") for i in range(1000)]
    _, made, reply = reply_to(chunk(tool_calls=calls))
    assert len(made) == 32
    assert reply.dropped == 968


def test_a_value_passes_as_it_is_but_for_thoughts() -> None:
    value = '{"name": "move", "parameters": {"x": "<tool_call>"}}'
    for said in (
        value,
        f"<think>\n\n</think>\n\n{value}",
        f"  <think>{'so ' * 500}</think>{value}",
    ):
        text, calls, _ = reply_to(*(chunk(content=c) for c in said), plain=True)
        assert (text, calls) == (value, [])
    nested = f"<think>a<think>b</think>c</think>{value}"
    assert reply_to(*(chunk(content=c) for c in nested), plain=True)[0] == value
    spoken_of = f"<think>What is <think>?</think>{value}"
    assert reply_to(*(chunk(content=c) for c in spoken_of), plain=True)[0] == value
    assert reply_to(chunk(content="<think>for ever"), plain=True)[0] == ""
    assert reply_to(chunk(content=" <"), plain=True)[0] == "<"


@pytest.mark.parametrize(
    "broken",
    [
        [], "x", 1, None, {"choices": "x"}, {"choices": ["x"]}, chunk(content=1),
        {"choices": [{"index": 0, "delta": "x"}]}, chunk(tool_calls="x"), chunk(tool_calls=["x"]),
        chunk(tool_calls=[{"function": "x"}]), {"object": "error", "message": "no"},
    ],
)  # fmt: skip
def test_what_is_no_chunk_is_told(broken: Any) -> None:
    with pytest.raises(BrokenChunkError):
        StreamedReply().feed(broken)


_ANY = st.sampled_from([None, True, 0, 1, 1.5, "", "x", "stop", '{"x": 1}', "{", [], [1], {}])
_CALL = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({}, optional={"name": _ANY, "arguments": _ANY})},
    optional={"index": _ANY, "id": _ANY},
)
_DELTA = st.fixed_dictionaries(
    {}, optional={"content": _ANY, "tool_calls": st.lists(_CALL | _ANY, max_size=3)}
)


@settings(max_examples=60)
@given(st.lists(_DELTA, max_size=6))
def test_whatever_comes_is_taken_or_told(deltas: list[dict[str, Any]]) -> None:
    reply = StreamedReply((MOVE, STOP))
    parts: list[Text | ToolCall] = []
    try:
        for delta in deltas:
            parts += reply.feed(chunk(**delta))
    except BrokenChunkError:
        return
    parts += reply.finish()
    for part in parts:
        if isinstance(part, ToolCall):
            assert part.name in {"move", "stop"}
            assert isinstance(json.loads(part.arguments), dict)
        else:
            part.text.encode()
