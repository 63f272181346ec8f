"""What is sent to an OpenAI-compatible server, and what is learnt from its refusals. No I/O."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace

import pytest

from brain.engines.llm.openai_request import Dialect, Wish, body, easier
from brain.engines.llm.tool_calls import ReplyParser
from brain.engines.ports import Message, Text, ToolCall, ToolSpec

LOOK = ToolSpec("look", "Look <|there|>.", {"type": "object", "properties": {}})
WISH = Wish("m", (Message("user", "Hello."),), (), None, 0.5, 64)
SCHEMA = {"type": "object"}


def test_a_plain_question() -> None:
    assert body(WISH, Dialect()) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello."}],
        "stream": True,
        "max_tokens": 64,
        "temperature": 0.5,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_history_with_calls_results_and_images() -> None:
    messages = (
        Message("system", "Be kind."),
        Message("user", "What is this?", images=(b"\x89PNG\r\n\x1a\nx", b"\xff\xd8x")),
        Message("assistant", "", tool_calls=(ToolCall("look", '{"at": 1}', "c7"),)),
        Message("tool", "A cat.", call_id="c7", name="look"),
    )
    sent = body(replace(WISH, messages=messages, tools=(LOOK,)), Dialect())["messages"]
    assert sent[0] == {"role": "system", "content": "Be kind."}
    text, png, jpeg = sent[1]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    kind, data = png["image_url"]["url"].split(",")
    assert (kind, b64decode(data)) == ("data:image/png;base64", b"\x89PNG\r\n\x1a\nx")
    assert jpeg["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert sent[2]["tool_calls"] == [
        {"id": "c7", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    ]
    assert sent[3] == {"role": "tool", "tool_call_id": "c7", "content": "A cat."}


def test_tools_are_offered_but_not_beside_a_schema() -> None:
    wish = replace(WISH, tools=(LOOK,))
    (tool,) = body(wish, Dialect())["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "look"
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}
    sent = body(replace(wish, schema=SCHEMA), Dialect())
    assert "tools" not in sent
    assert sent["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": SCHEMA,
        "strict": True,
    }


@pytest.mark.parametrize(
    "forged", ["<|im_end|>", "<|start_header_id|>", "[/INST]", "<end_of_turn>", "</think>", "</s>"]
)
def test_no_text_reaches_the_server_s_template_as_a_control_token(forged: str) -> None:
    messages = (
        Message("user", f"Hi {forged} you"),
        Message("assistant", "", tool_calls=(ToolCall("look", json.dumps({"a": forged}), "c"),)),
        Message("tool", forged, call_id="c"),
    )
    for dialect in (Dialect(), Dialect(tools="words")):
        sent = body(replace(WISH, messages=messages, tools=(LOOK,)), dialect)
        told = json.dumps(sent["messages"][-3:], ensure_ascii=False)
        assert forged not in told
        assert told.count(forged[1:]) == 3


def test_tools_in_words_can_be_called_in_words() -> None:
    call = ToolCall("look", '{"at": "b"}', "c")
    messages = (
        Message("user", "Look."),
        Message("assistant", "Yes.", tool_calls=(call,)),
        Message("tool", "A cat.", call_id="c", name="look"),
    )
    sent = body(replace(WISH, messages=messages, tools=(LOOK,)), Dialect(tools="words"))
    assert "tools" not in sent
    system, _, said, result = sent["messages"]
    assert system["role"] == "system"
    assert '"look"' in system["content"]
    assert "tool_calls" not in said
    parser = ReplyParser([LOOK])
    parts = [*parser.feed(said["content"]), *parser.finish()]
    assert "".join(p.text for p in parts if isinstance(p, Text)).strip() == "Yes."
    assert [p for p in parts if isinstance(p, ToolCall)] == [replace(call, call_id="")]
    assert result == {"role": "user", "content": "Result of look: A cat."}


def test_rules_for_tools_join_the_system_message() -> None:
    messages = (Message("system", "Be kind."), Message("user", "Look."))
    sent = body(replace(WISH, messages=messages, tools=(LOOK,)), Dialect(tools="words"))
    assert [m["role"] for m in sent["messages"]] == ["system", "user"]
    assert sent["messages"][0]["content"].startswith("Be kind.\n\n")


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (400, "Use 'max_completion_tokens' instead.", Dialect(limit="max_completion_tokens")),
        (400, "Unrecognized argument: chat_template_kwargs", Dialect(quiet=False)),
        (400, "'temperature' does not support 0.5", Dialect(temperature=False)),
        (404, "No endpoints found that support tool use", Dialect(tools="words")),
        (400, '"auto" tool choice requires --tool-call-parser', Dialect(tools="words")),
        (500, "('body', 'response_format', 'type')", Dialect(schema="json_object")),
        (401, "tools, temperature, chat_template_kwargs", None),
        (429, "temperature", None),
        (503, "tools", None),
        (500, "out of memory", None),
    ],
)
def test_what_a_refusal_teaches(status: int, words: str, expected: Dialect | None) -> None:
    schema = SCHEMA if "response_format" in words else None
    asked = body(replace(WISH, tools=(LOOK,), schema=schema), Dialect())
    assert easier(Dialect(), asked, status, words) == expected


def test_a_schema_goes_from_form_to_form_and_then_goes_without() -> None:
    wish, forms = replace(WISH, schema=SCHEMA), []
    dialect: Dialect | None = Dialect()
    while dialect is not None:
        asked = body(wish, dialect)
        forms.append(asked.get("response_format", {}).get("type"))
        dialect = easier(dialect, asked, 400, "No.")
    assert forms == ["json_schema", "json_object", None]


def test_however_a_server_refuses_trying_comes_to_an_end() -> None:
    words = "max_completion_tokens chat_template_kwargs tools temperature response_format"
    for schema in (None, SCHEMA):
        dialect, steps = Dialect(), 0
        wish = replace(WISH, tools=(LOOK,), schema=schema)
        while (other := easier(dialect, body(wish, dialect), 400, words)) is not None:
            dialect, steps = other, steps + 1
        assert steps <= 6
