"""Does a value fit a tool's JSON Schema? A small check, for calls that a grammar already shaped.

It knows `type`, `enum`, `const`, `required`, `properties`, `additionalProperties: false`, `items`,
`anyOf`, `oneOf`, `minimum` and `maximum`; what it doesn't know, it lets pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def problem(value: Any, schema: Mapping[str, Any], where: str = "arguments") -> str | None:
    """What is wrong with `value` (a parsed JSON value), as a short sentence; None if it fits."""
    wrong = _own_problem(value, schema, where)
    if wrong is not None:
        return wrong
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if isinstance(options, list) and options:
            problems = [problem(value, o, where) for o in options if isinstance(o, Mapping)]
            if problems and None not in problems:
                return problems[0]
    if isinstance(value, dict):
        return _object_problem(value, schema, where)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, Mapping):
        for index, item in enumerate(value):
            if (wrong := problem(item, items, f"{where}[{index}]")) is not None:
                return wrong
    return None


def _own_problem(value: Any, schema: Mapping[str, Any], where: str) -> str | None:
    names = schema.get("type")
    wanted = [names] if isinstance(names, str) else names if isinstance(names, list) else []
    if wanted and not any(_is_a(value, name) for name in wanted):
        return f"{where} is not of type {' or '.join(map(str, wanted))}"
    enum = schema.get("enum")
    if isinstance(enum, list) and value not in enum:
        return f"{where} is not one of the allowed values"
    if "const" in schema and value != schema["const"]:
        return f"{where} is not {schema['const']!r}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            return f"{where} is not a finite number"
        low, high = schema.get("minimum"), schema.get("maximum")
        if isinstance(low, (int, float)) and value < low:
            return f"{where} is below {low}"
        if isinstance(high, (int, float)) and value > high:
            return f"{where} is above {high}"
    return None


def _object_problem(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> str | None:
    required = schema.get("required")
    if isinstance(required, list):
        for name in required:
            if name not in value:
                return f"{where} has no {name!r}"
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    for name, item in value.items():
        inner = known.get(name)
        if isinstance(inner, Mapping):
            if (wrong := problem(item, inner, f"{where}.{name}")) is not None:
                return wrong
        elif name not in known and schema.get("additionalProperties") is False:
            return f"{where} has an unknown {name!r}"
    return None


def _is_a(value: Any, name: Any) -> bool:
    types = _TYPES.get(name) if isinstance(name, str) else None
    if types is None:
        return True
    if isinstance(value, bool):
        return bool in types
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, types)
