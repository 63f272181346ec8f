"""Conversations, tools and errors in the form of Ollama's API (its `docs/api.md`). Pure."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from ollama import ResponseError

from brain.engines.llm.remote_text import defused, defused_json, valid, valid_json
from brain.engines.llm.tool_pictures import apart
from brain.engines.one_line import one_line
from brain.engines.ports import (
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineUnavailable,
    Message,
    ToolSpec,
)

_log = logging.getLogger(__name__)

_UNITS = re.compile(r"[a-z]")

# All that the client and what it is made of raise for a server that is gone, ill, or not Ollama:
# it reads what came without checking it first.
CLIENT_ERRORS = (
    ResponseError,
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)

# Statuses by which a server, or a proxy before it, sends one away for now.
_BUSY = (429, 503)


def chat_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """`messages` as `/api/chat` takes them; images are bytes, which the client encodes."""
    return [_chat_message(message) for message in apart(messages)]


def chat_tools(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """`tools` as `/api/chat` takes them.

    A parameter there has a type, a description and a list of choices; bounds and nested schemas
    would be lost on the way, so they are told to the model in the description.
    """
    return [
        {
            "type": "function",
            "function": valid_json(
                {
                    "name": tool.name,
                    "description": defused(tool.description),
                    "parameters": {
                        "type": "object",
                        "required": _texts(tool.parameters.get("required")),
                        "properties": _properties(tool.parameters.get("properties")),
                    },
                }
            ),
        }
        for tool in tools
    ]


def keep_alive(setting: str) -> float | str:
    """A keep-alive setting as Ollama reads it: a number is seconds, negative for ever; a text has
    its unit ("5m"), without which Ollama refuses it."""
    return setting if _UNITS.search(setting) else float(setting)


def same_model(name: str) -> str:
    """A name in the form in which two names of one model are equal: `qwen3` is `qwen3:latest`,
    in the library of Ollama's registry unless it names another; case doesn't matter."""
    name = name.strip().lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def told(error: BaseException, url: str, *, begun: bool = False) -> EngineError:
    """What an error of the client means to those who asked. `begun`: the reply had."""
    if isinstance(error, ResponseError):
        return _refused(error, url, begun=begun)
    if isinstance(error, httpx.InvalidURL):
        return EngineUnavailable(f"OLLAMA_URL={url} is no address: {_words(error)}.")
    if isinstance(error, (httpx.TransportError, OSError)):
        if begun:
            return EngineFailed(f"Ollama at {url} broke off in the middle: {_words(error)}.")
        return EngineUnavailable(
            f"OLLAMA_URL={url} can't be reached ({_words(error)}): is `ollama serve` running there?"
        )
    if isinstance(error, (ValueError, TypeError, AttributeError, RecursionError)):
        return EngineFailed(f"What came from OLLAMA_URL={url} isn't Ollama's: {_words(error)}.")
    _log.error("Ollama's client failed.", exc_info=error)
    return EngineFailed(f"Ollama's client failed: {type(error).__name__}: {_words(error)}.")


def _refused(error: ResponseError, url: str, *, begun: bool) -> EngineError:
    words = _words(error)
    if error.status_code == 404:
        return EngineUnavailable(f"Ollama at {url} says: {words}.")
    if error.status_code in _BUSY:
        return EngineBusy(f"Ollama at {url} is busy ({words}): try again in a moment.")
    if 300 <= error.status_code < 400:
        return EngineUnavailable(f"OLLAMA_URL={url} leads elsewhere: set it to where that is.")
    if error.status_code in (401, 403):
        return EngineUnavailable(f"Ollama at {url} refuses us ({words}): see OLLAMA_API_KEY.")
    if error.status_code >= 500 and not begun:
        return EngineUnavailable(f"Ollama at {url} failed: {words}.")
    return EngineFailed(f"Ollama at {url} failed: {words}.")


def _chat_message(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": defused(message.content)}
    if message.role == "tool" and message.name:
        out["tool_name"] = valid(message.name)
    if message.tool_calls:
        out["tool_calls"] = [
            {"function": {"name": valid(call.name), "arguments": _arguments(call.arguments)}}
            for call in message.tool_calls
        ]
    if message.images:
        out["images"] = list(message.images)
    return out


def _arguments(text: str) -> dict[str, Any]:
    value = json.loads(defused_json(text or "{}"))
    return value if isinstance(value, dict) else {}


def _properties(schemas: Any) -> dict[str, Any]:
    if not isinstance(schemas, Mapping):
        return {}
    return {str(name): _property(schema) for name, schema in schemas.items()}


def _property(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        return {}
    unsaid = dict(schema)
    out: dict[str, Any] = {}
    if isinstance(kind := unsaid.get("type"), str) or _texts(kind):
        out["type"] = unsaid.pop("type")
    if isinstance(unsaid.get("enum"), list):
        out["enum"] = unsaid.pop("enum")
    if "items" in unsaid:
        out["items"] = unsaid.pop("items")
    about = unsaid.pop("description", "")
    if unsaid:
        about = f"{about} JSON schema: {json.dumps(unsaid, ensure_ascii=False)}".lstrip()
    if about:
        out["description"] = defused(str(about))
    return out


def _texts(value: Any) -> list[str]:
    """`value` if it is a list of texts, else none."""
    texts = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    return list(value) if texts else []


def _words(error: BaseException) -> str:
    """The error's own words, on one line, without the full stop."""
    words = error.error if isinstance(error, ResponseError) else str(error)
    return one_line(str(words)).rstrip(".") or type(error).__name__
