"""A model's text -> a plan. What is only written otherwise is put right; what is wrong is refused.

Models that aren't held to a schema write plans in many ways: with a word before and after, in a
code fence, with fields one level too deep, under the name of another kind. Those are repaired here.
Values out of range, unknown names and too many actions are never clamped or guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from pydantic import ValidationError

from brain.planner.schema import (
    ALL_SKILLS,
    EMOTIONS,
    GESTURES,
    OFFERED_SKILLS,
    PlanOutput,
    SkillAction,
)

_KINDS = ("say", "emote", "gesture", "skill")
_ALIASES = {"tired": "sleepy", "head_shake": "headshake", "xeyes": "x_eyes"}
_KNOWN: Mapping[str, Sequence[str]] = {"emote": EMOTIONS, "gesture": GESTURES, "skill": ALL_SKILLS}
_FIELDS: Mapping[str, set[str]] = {
    "say": {"action", "text"},
    "emote": {"action", "name", "intensity"},
    "gesture": {"action", "name", "params"},
    "skill": {"action", "name"},
}
# No honest answer has more braces before its plan, and every one costs a look.
_MOST_TRIES = 64
_WRAPPERS = ("plan", "response", "output", "result", "answer")
_SHOWN_PROBLEMS = 3


class PlanInvalid(ValueError):
    """This text is no plan; the message says why, for the model and for people."""


def plan_of(
    text: str, *, max_actions: int = 5, skills: Sequence[str] = OFFERED_SKILLS
) -> PlanOutput:
    """The first plan in `text`, repaired where that loses nothing. Raises `PlanInvalid`."""
    plan = _first_plan(text)
    plan["actions"] = [action for action in map(_action, plan["actions"]) if action is not None]
    try:
        made = PlanOutput.model_validate(plan)
    except ValidationError as error:
        raise PlanInvalid(problems(error)) from error
    if len(made.actions) > max_actions:
        raise PlanInvalid(f"actions: {len(made.actions)} of them, at most {max_actions}")
    for action in made.actions:
        if isinstance(action, SkillAction) and action.name not in skills:
            raise PlanInvalid(f"skill {action.name} is not offered, but {', '.join(skills)}")
    return made


def has_plan(text: str) -> bool:
    """Whether a whole plan, right or wrong, stands in `text`: what follows is of no interest."""
    try:
        _first_plan(text)
    except PlanInvalid:
        return False
    return True


def problems(error: ValidationError) -> str:
    """What is wrong, in a line: the first few fields, each with the reason."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = []
    for problem in found[:_SHOWN_PROBLEMS]:
        where = ".".join(str(part) for part in problem["loc"])
        why = problem["msg"].removeprefix("Value error, ")
        told.append(f"{where}: {why}" if where else why)
    more = len(found) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


# -- finding the plan --------------------------------------------------------------------------


def _first_plan(text: str) -> dict[str, Any]:
    """`{"actions": [...], ...}` of the first JSON value in `text` that has anything to do."""
    for value in _values(text):
        plan = _as_plan(value)
        if plan is not None:
            return plan
    raise PlanInvalid("there is no JSON object with actions in it")


def _values(text: str) -> Iterator[Any]:
    """The JSON objects and lists that stand in `text`, outermost only, in order.

    What begins and doesn't end was cut off: a part of it would be another plan than was meant.
    """
    # Not strict: a line break inside a string is what models write, and harms nobody.
    decoder = json.JSONDecoder(strict=False, parse_constant=_no_number)
    at = 0
    for _ in range(_MOST_TRIES):
        starts = [i for i in (text.find("{", at), text.find("[", at)) if i >= 0]
        if not starts:
            return
        at = min(starts)
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            if error.msg.startswith("Unterminated"):
                return
            at = max(at + 1, error.pos)
        except (ValueError, RecursionError):  # NaN, a number of 5000 digits, a thousand brackets
            return
        else:
            yield value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _as_plan(value: Any) -> dict[str, Any] | None:
    if isinstance(value, list):
        listed = bool(value) and all(isinstance(item, dict) for item in value)
        return {"actions": value} if listed else None
    if isinstance(value.get("actions"), list):
        return {name: value[name] for name in ("actions", "ttl_ms") if name in value}
    for name in _WRAPPERS:
        if isinstance(value.get(name), dict | list):
            return _as_plan(value[name])
    # A single action where a list of them was asked for.
    return {"actions": [value]} if _kind(value) is not None else None


# -- one action --------------------------------------------------------------------------------


def _action(item: Any) -> Any:
    """The action in the contract's form; None for a stub, and what can't be read as it stands."""
    if isinstance(item, str):
        item = {"action": item}
    if not isinstance(item, dict) or _is_as_it_should_be(item):
        return item
    kind = _kind(item)
    if kind is None:
        return None if not any(item.values()) else item
    fields = _fields(item, kind)
    if not any(value not in (None, "", {}, []) for value in fields.values()):
        return None
    return _FORMS[kind](fields)


def _is_as_it_should_be(item: Mapping[str, Any]) -> bool:
    kind, name, text = item.get("action"), item.get("name"), item.get("text")
    if not isinstance(kind, str) or not set(item) <= _FIELDS.get(kind, set()):
        return False
    if kind == "say":
        return isinstance(text, str) and bool(text)
    if kind == "gesture" and not isinstance(item.get("params", {}), dict):
        return False
    return isinstance(name, str) and name in _KNOWN[kind]


def _kind(item: Mapping[str, Any]) -> str | None:
    """say, emote, gesture or skill: by its own word, by its name, or by what it brings along."""
    stated = _symbol(_stated(item))
    name = _symbol(item.get("name"))
    if stated in _KINDS:
        # A name that tells another kind weighs more than the word for the kind.
        if stated == "gesture" and name in _KINDS:
            return name
        owner = _owner(name or _symbol(_inner(item).get("name")))
        return owner if owner is not None and stated != "say" else stated
    for symbol in (stated, name):
        if symbol in _KINDS:
            return symbol
        if (owner := _owner(symbol)) is not None:
            return owner
        if symbol is not None and any(symbol in names for names in _KNOWN.values()):
            return "emote" if "intensity" in {*item, *_inner(item)} else "gesture"
    keyed = [kind for kind in _KINDS if kind in item]
    if len(keyed) == 1:
        return keyed[0]
    if stated is None and name is None:
        if isinstance(item.get("text"), str):
            return "say"
        if "bearing" in item or "bearing" in _inner(item):
            return "gesture"
    return None


def _fields(item: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """All that was said of the action, on one level, without its kind."""
    fields = {name: value for name, value in item.items() if name not in ("action", "type", "kind")}
    inner = fields.pop("params", None)
    inner = dict(inner) if isinstance(inner, dict) else {}
    keyed = fields.pop(kind, None)  # {"say": "Hello"}, {"emote": {"name": "happy"}}
    if isinstance(keyed, dict):
        inner.update(keyed)
    elif keyed is not None:
        fields.setdefault("text" if kind == "say" else "name", keyed)
    name = _symbol(fields.get("name"))
    if name in _KINDS:
        del fields["name"]
    stated = _symbol(_stated(item))
    if stated is not None and stated not in _KINDS:
        fields.setdefault("name", stated)  # {"action": "investigate_ball"}
    return {**inner, **fields} if "name" in fields else {**fields, **inner}


def _gesture(fields: dict[str, Any]) -> dict[str, Any]:
    name = _symbol(fields.pop("name", None))
    if name is None and "bearing" in fields:
        name = "look_at"
    return {"action": "gesture", "name": name, "params": fields}


def _emote(fields: dict[str, Any]) -> dict[str, Any]:
    made = {"action": "emote", "name": _symbol(fields.get("name"))}
    return {**made, "intensity": fields["intensity"]} if "intensity" in fields else made


def _skill(fields: dict[str, Any]) -> dict[str, Any]:
    return {"action": "skill", "name": _symbol(fields.get("name"))}


def _say(fields: dict[str, Any]) -> dict[str, Any]:
    return {"action": "say", "text": fields.get("text")}


_FORMS = {"say": _say, "emote": _emote, "gesture": _gesture, "skill": _skill}


def _stated(item: Mapping[str, Any]) -> Any:
    return next((item[name] for name in ("action", "type", "kind") if name in item), None)


def _inner(item: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = item.get("params")
    return inner if isinstance(inner, dict) else {}


def _owner(symbol: str | None) -> str | None:
    """The one kind that has this name; None where there are two or none."""
    owners = [kind for kind, names in _KNOWN.items() if symbol in names]
    return owners[0] if len(owners) == 1 else None


def _symbol(value: Any) -> str | None:
    """A name as the contract spells it; None for what is no name."""
    if not isinstance(value, str):
        return None
    spelt = value.strip().lower().replace("-", "_").replace(" ", "_")
    return _ALIASES.get(spelt, spelt)
