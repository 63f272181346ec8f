"""GBNF grammars that hold a model to JSON of a schema, or its tool calls to the tools on offer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from llama_cpp.llama_grammar import json_schema_to_gbnf

from brain.engines.llm.number_grammar import marked, unmarked
from brain.engines.llm.tool_calls import (
    CALL_CLOSE,
    CALL_OPEN,
    MISTRAL_ARGS,
    MISTRAL_CALLS,
    PYTHON_TAG,
)
from brain.engines.ports import ToolSpec

MOST_CALLS = 8
_DEEPEST_REFERENCE = 4
_MOST_NODES = 4_000
_LONGEST_STRING = 300
_SHAPED = frozenset({"enum", "const", "pattern", "format", "maxLength"})


class CallForm(Enum):
    """How a model writes tool calls; `FREE` is a form for which there is no grammar here."""

    HERMES = "hermes"
    LLAMA3 = "llama3"
    MISTRAL = "mistral"
    FREE = "free"


@dataclass(frozen=True)
class Grammar:
    """A GBNF grammar with the root `root`.

    `trigger` empty: it holds from the first token. Otherwise it sleeps until this marker is
    written (as one token or as text; a regular expression with one group where `pattern` is set)
    and covers the text from there on.
    """

    text: str
    trigger: str = ""
    pattern: str = ""


def call_form(template: str) -> CallForm:
    """The form that a chat template teaches; Hermes where it knows no tools.

    (`brain.engines.llm.chat_prompt` then describes the tools in that form.)
    """
    if CALL_OPEN in template:
        return CallForm.HERMES
    if MISTRAL_ARGS in template:
        return CallForm.FREE
    if MISTRAL_CALLS in template:
        return CallForm.MISTRAL
    if PYTHON_TAG in template or '"parameters"' in template:
        return CallForm.LLAMA3
    return CallForm.FREE if "tools" in template else CallForm.HERMES


def tool_grammar(form: CallForm, tools: Sequence[ToolSpec]) -> Grammar | None:
    """Holds calls in `form` to `tools`, from the marker that begins a call; None if it can't."""
    if form is CallForm.FREE or not tools:
        return None
    key = json.dumps([[tool.name, tool.parameters] for tool in tools], sort_keys=False)
    return _tool_grammar(form, key)


@lru_cache(maxsize=32)
def _tool_grammar(form: CallForm, tools: str) -> Grammar:
    arguments_key = "parameters" if form is CallForm.LLAMA3 else "arguments"
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": name}, arguments_key: _convertible(parameters)},
            "required": ["name", arguments_key],
        }
        for name, parameters in json.loads(tools)
    ]
    rules = re.sub(r"^root ::=", "call-json ::=", _converted({"anyOf": calls}), flags=re.MULTILINE)
    more = MOST_CALLS - 1
    if form is CallForm.HERMES:
        root = (
            f'root ::= call ("\\n"? call){{0,{more}}} "\\n"?\n'
            f'call ::= "{CALL_OPEN}" "\\n"? call-json "\\n"? "{CALL_CLOSE}"\n'
        )
        return Grammar(root + rules, trigger=CALL_OPEN)
    if form is CallForm.MISTRAL:
        root = (
            f'root ::= "{MISTRAL_CALLS}" " "? "[" call-json ("," " "? call-json){{0,{more}}} "]"\n'
        )
        return Grammar(root + rules, trigger=MISTRAL_CALLS)
    root = f'root ::= "{PYTHON_TAG}"? call-json (";" " "? call-json){{0,{more}}}\n'
    begins = r'\s*((?:<\|python_tag\|>)?\s*\{\s*"name")[\s\S]*'
    return Grammar(root + rules, trigger=PYTHON_TAG, pattern=begins)


def schema_grammar(schema: Mapping[str, Any]) -> Grammar:
    """Holds the whole reply to one JSON value that fits `schema`. Raises ValueError."""
    try:
        return Grammar(_cached_conversion(json.dumps(schema)))
    except Exception as error:
        raise ValueError(f"this JSON Schema can't be made a grammar: {error}") from error


@lru_cache(maxsize=32)
def _cached_conversion(schema: str) -> str:
    return _converted(json.loads(schema))


def _converted(schema: Mapping[str, Any]) -> str:
    resolved = _bounded_numbers(_resolved(schema, schema, 0, _Purse(_MOST_NODES)))
    return unmarked(str(json_schema_to_gbnf(json.dumps(resolved))))


def _convertible(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tool's schema, or that of any object if the converter doesn't know a part of it.

    Calls are validated after all: the grammar only makes them right more often.
    """
    try:
        resolved = _bounded_strings(_resolved(parameters, parameters, 0, _Purse(_MOST_NODES)))
        json_schema_to_gbnf(json.dumps(resolved))
    except Exception:  # noqa: BLE001 - a robot's schema may hold anything; it must not end the turn
        return {"type": "object"}
    return resolved if isinstance(resolved, dict) else {"type": "object"}


@dataclass
class _Purse:
    """What a schema may still grow to, in parts: references to themselves grow without end."""

    left: int

    def pay(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ValueError("the schema is too large with its references written out")


def _bounded_strings(node: Any) -> Any:
    """Free strings end: a small model may never close one by itself."""
    if isinstance(node, list):
        return [_bounded_strings(item) for item in node]
    if not isinstance(node, dict):
        return node
    bounded = {key: _bounded_strings(value) for key, value in node.items()}
    if node.get("type") == "string" and not _SHAPED.intersection(node):
        bounded["maxLength"] = _LONGEST_STRING
    return bounded


def _bounded_numbers(node: Any) -> Any:
    """Numbers with two bounds, marked for `brain.engines.llm.number_grammar`."""
    if isinstance(node, list):
        return [_bounded_numbers(item) for item in node]
    if not isinstance(node, dict):
        return node
    mark = marked(node)
    if mark is not None:
        return mark
    return {key: _bounded_numbers(value) for key, value in node.items()}


def _resolved(node: Any, root: Mapping[str, Any], depth: int, purse: _Purse) -> Any:
    """`node` with its references inside `root` written out; those too deep allow anything.

    Raises ValueError for what is too large by then.
    """
    purse.pay()
    if isinstance(node, list):
        return [_resolved(item, root, depth, purse) for item in node]
    if not isinstance(node, Mapping):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        if depth >= _DEEPEST_REFERENCE:
            return {}
        target: Any = root
        for step in reference[2:].split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        return _resolved(target, root, depth + 1, purse)
    resolved = {}
    for key, value in node.items():
        if key == "properties" and isinstance(value, Mapping):
            # Names of the robot's own, which may be those of JSON Schema's keywords.
            resolved[key] = {
                name: _resolved(inner, root, depth, purse) for name, inner in value.items()
            }
        elif key not in ("$defs", "definitions"):
            resolved[key] = _resolved(value, root, depth, purse)
    return resolved
