"""What is sent to an OpenAI-compatible server, in the words that this one takes.

The form is that of `POST /chat/completions` in OpenAI's API reference. Servers differ in what they
take of it; a `Dialect` says what one of them does, and `easier` learns it from what it refuses.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from brain.engines.llm.remote_text import defused, defused_json, valid, valid_json
from brain.engines.llm.tool_calls import CALL_CLOSE, CALL_OPEN
from brain.engines.llm.tool_pictures import apart
from brain.engines.ports import Message, ToolSpec

Body = dict[str, Any]

_PNG = b"\x89PNG"
# Refusals of the key or of the hour, not of the form.
_NOT_ABOUT_FORM = frozenset({401, 403, 408, 429, 503})
_ABOUT_FORM = frozenset({400, 422})
_TOO_LARGE = 413
_PICTURES = re.compile(r"image|vision|multi-?modal|mmproj")
_NEVER = re.compile(r"support|at most 0|not a multi|mmproj|text.only|no vision|accept")


@dataclass(frozen=True)
class Dialect:
    """What a server takes.

    `schema`: how an answer is held to a JSON Schema: OpenAI's form; the older one of
    llama-cpp-python; not at all, and the caller's own check is all there is. `tools`: in their own
    field, or told in the system message. `limit`: the name of the field for the longest answer.
    `temperature`: it may be chosen. `quiet`: a thinking model can be told not to, which is a field
    of vLLM's, llama.cpp's and SGLang's servers.
    """

    schema: Literal["json_schema", "json_object", "none"] = "json_schema"
    tools: Literal["field", "words"] = "field"
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True
    quiet: bool = True


@dataclass(frozen=True)
class Wish:
    """What is wanted of a model, whatever the server; the fields are those of the port."""

    model: str
    messages: Sequence[Message]
    tools: Sequence[ToolSpec]
    schema: Mapping[str, Any] | None
    temperature: float
    max_tokens: int


def body(wish: Wish, dialect: Dialect) -> Body:
    """The JSON body of the request."""
    tools = wish.tools if wish.schema is None else ()
    messages = [_defused(message) for message in apart(wish.messages)]
    if dialect.tools == "words":
        messages = _in_words(messages, tools)
    result: Body = {
        "model": wish.model,
        "messages": [_message(message) for message in messages],
        "stream": True,
        dialect.limit: wish.max_tokens,
    }
    if dialect.temperature:
        result["temperature"] = wish.temperature
    if dialect.quiet:
        result["chat_template_kwargs"] = {"enable_thinking": False}
    if tools and dialect.tools == "field":
        result["tools"] = [_tool(tool) for tool in tools]
    if wish.schema is not None and dialect.schema == "json_schema":
        form = {"name": "answer", "schema": dict(wish.schema), "strict": True}
        result["response_format"] = {"type": "json_schema", "json_schema": form}
    elif wish.schema is not None and dialect.schema == "json_object":
        result["response_format"] = {"type": "json_object", "schema": dict(wish.schema)}
    return result


def easier(dialect: Dialect, refused: Mapping[str, Any], status: int, words: str) -> Dialect | None:
    """What to try after the server answered the body `refused` with `status` and `words`.

    None: nothing that could be said otherwise was the matter. A field that the server names is
    changed, whatever the status (llama-cpp-python refuses with 500); for a schema, which servers
    refuse in many words, a plain refusal is enough. Every step is final, so trying comes to an end.
    """
    if status in _NOT_ABOUT_FORM:
        return None
    words = words.lower()
    if dialect.limit == "max_tokens" and "max_completion_tokens" in words:
        return replace(dialect, limit="max_completion_tokens")
    if "chat_template_kwargs" in refused and "chat_template_kwargs" in words:
        return replace(dialect, quiet=False)
    if "tools" in refused and "tool" in words:
        return replace(dialect, tools="words")
    if "response_format" in refused and (
        status in _ABOUT_FORM or "response_format" in words or "json_schema" in words
    ):
        older = dialect.schema == "json_schema"
        return replace(dialect, schema="json_object" if older else "none")
    if "temperature" in refused and "temperature" in words:
        return replace(dialect, temperature=False)
    return None


def never_sees(wish: Wish, status: int, words: str) -> bool:
    """Whether the server's refusal of `wish` says that its model takes no pictures at all."""
    words = words.lower()
    about_pictures = _PICTURES.search(words) and _NEVER.search(words)
    return bool(pictured(wish) and status not in _NOT_ABOUT_FORM and about_pictures)


def may_not_see(wish: Wish, status: int) -> bool:
    """Whether a refusal that says nothing of use may have been about the pictures in `wish`."""
    return pictured(wish) and (status in _ABOUT_FORM or status == _TOO_LARGE)


def pictured(wish: Wish) -> bool:
    """Whether there are pictures in it."""
    return any(message.images for message in wish.messages)


def _defused(message: Message) -> Message:
    calls = tuple(
        replace(call, name=valid(call.name), arguments=defused_json(call.arguments or "{}"))
        for call in message.tool_calls
    )
    return replace(message, content=defused(message.content), tool_calls=calls)


def _message(message: Message) -> Body:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.content}
    result: Body = {"role": message.role, "content": message.content}
    if message.images:
        parts: list[Body] = [{"type": "text", "text": message.content}] if message.content else []
        parts += [{"type": "image_url", "image_url": {"url": _url(i)}} for i in message.images]
        result["content"] = parts
    if message.tool_calls:
        result["tool_calls"] = [
            {
                "id": call.call_id or f"call_{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(message.tool_calls)
        ]
    return result


def _tool(tool: ToolSpec) -> Body:
    # (Names and values in `parameters` stay as they are: calls are checked against them.)
    function = {
        "name": tool.name,
        "description": defused(tool.description),
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": valid_json(function)}


def _url(image: bytes) -> str:
    kind = "png" if image.startswith(_PNG) else "jpeg"
    return f"data:image/{kind};base64,{b64encode(image).decode()}"


# -- tools in words ----------------------------------------------------------------------------


def _in_words(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[Message]:
    """The same conversation for a server that takes no tools: offers, calls and results are told.

    The form of a call is Hermes', which `ReplyParser` knows.
    """
    result = [_told(message) for message in messages]
    if not tools:
        return result
    offered = "\n".join(json.dumps(_tool(tool)["function"], ensure_ascii=False) for tool in tools)
    rules = (
        f"You have tools; each line describes one:\n{offered}\n"
        "To use one, reply with nothing but a call of this form:\n"
        f'{CALL_OPEN}{{"name": "…", "arguments": {{…}}}}{CALL_CLOSE}'
    )
    if result and result[0].role == "system":
        first = result[0]
        return [replace(first, content=f"{first.content}\n\n{rules}"), *result[1:]]
    return [Message("system", rules), *result]


def _told(message: Message) -> Message:
    if message.role == "tool":
        return Message("user", f"Result of {message.name or 'the tool'}: {message.content}")
    if not message.tool_calls:
        return message
    calls = [
        f'{CALL_OPEN}{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}{CALL_CLOSE}'
        for call in message.tool_calls
    ]
    said = [message.content] if message.content else []
    return replace(message, content="\n".join([*said, *calls]), tool_calls=())
