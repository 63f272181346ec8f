"""One setting: its declaration in the model, and what can be told of it to people and scripts."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, Field, SecretStr
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

_SCALARS: Mapping[type, str] = {bool: "switch", int: "int", float: "float", str: "text"}


def setting(
    default: object,
    about: str,
    *,
    group: str,
    unit: str = "",
    pattern_means: str = "",
    **bounds: Any,
) -> Any:
    """A pydantic field of the settings model.

    `about` says in one line what the setting does; `unit` as printed ("ms", "s", "dBFS");
    `pattern_means` says in words what a `pattern` among `bounds` allows. `bounds` are pydantic's
    own (`ge`, `le`, `gt`, `lt`, `min_length`, `pattern`, `allow_inf_nan`).
    """
    extra: JsonDict = {"group": group, "unit": unit, "pattern_means": pattern_means}
    return Field(default=default, description=about, json_schema_extra=extra, **bounds)


@dataclass(frozen=True)
class Spec:
    """What is known of one setting. `name` is its environment name, `attribute` its Python one.

    `kind` is "switch", "int", "float", "text" or "choice"; `low` and `high` are inclusive bounds;
    `allowed` says in words what is taken. `may_be_empty`: an empty text is a value of its own (else
    an empty value in a file means: not set there).
    """

    name: str
    attribute: str
    kind: str
    default: object
    about: str
    group: str
    unit: str
    secret: bool
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    allowed: str
    may_be_empty: bool


def specs_of(model: type[BaseModel]) -> tuple[Spec, ...]:
    """The specs of all settings of `model`, in the order of their declaration."""
    return tuple(_spec(attribute, field) for attribute, field in model.model_fields.items())


def _spec(attribute: str, field: FieldInfo) -> Spec:
    annotation = _plain(field.annotation)
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    secret = annotation is SecretStr
    kind = "choice" if choices else "text" if secret else _SCALARS[annotation]
    low = _bound(field, annotated_types.Ge, "ge")
    high = _bound(field, annotated_types.Le, "le")
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    needs_text = any(isinstance(m, annotated_types.MinLen) for m in field.metadata)
    pattern_means = str(extra.get("pattern_means", ""))
    return Spec(
        name=attribute.upper(),
        attribute=attribute,
        kind=kind,
        default=field.default,
        about=field.description or "",
        group=str(extra.get("group", "")),
        unit=str(extra.get("unit", "")),
        secret=secret,
        choices=tuple(str(choice) for choice in choices),
        low=low,
        high=high,
        allowed=pattern_means or _allowed(kind, choices, low, high, needs_text=needs_text),
        may_be_empty=kind == "text" and not needs_text and not pattern_means,
    )


def _plain(annotation: Any) -> Any:
    """`X` for `X | None`, which no setting uses today; anything else as it stands."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(arg for arg in get_args(annotation) if arg is not type(None))
    return annotation


def _bound(field: FieldInfo, kind: type, attribute: str) -> float | None:
    for constraint in field.metadata:
        if isinstance(constraint, kind):
            return float(getattr(constraint, attribute))
    return None


def _allowed(
    kind: str, choices: tuple[Any, ...], low: float | None, high: float | None, *, needs_text: bool
) -> str:
    if kind == "choice":
        named = ", ".join(str(choice) for choice in choices)
        return f"one of {named}" if len(choices) > 1 else named
    if kind == "switch":
        return "1 or 0 (also true/false, yes/no, on/off)"
    if kind == "text":
        return "any text but an empty one" if needs_text else "any text"
    number = "a whole number" if kind == "int" else "a number"
    if low is not None and high is not None:
        return f"{number} from {low:.10g} to {high:.10g}"
    if low is not None:
        return f"{number}, {low:.10g} or more"
    return f"{number}, {high:.10g} or less" if high is not None else number
