"""Numbers within bounds, as grammars: every number inside is allowed, and none outside."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.engines.llm.grammar import CallForm, schema_grammar, tool_grammar
from brain.engines.llm.number_grammar import integers, marked, numbers
from brain.engines.ports import ToolSpec
from brain.planner.schema import output_schema


def as_regex(grammar: str) -> re.Pattern[str]:
    """These expressions use of GBNF only what regular expressions have too."""
    return re.compile(re.sub(r'"([^"]*)"', lambda m: re.escape(m[1]), grammar).replace(" ", ""))


BOUNDS = [(0, 0), (0, 1), (-180, 180), (500, 5000), (7, 123), (-5, -2), (0, 9), (10, 10),
          (99, 1001), (-1, 0), (95, 105), (-120, -7)]  # fmt: skip


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_whole_numbers(low: int, high: int) -> None:
    pattern = as_regex(integers(low, high))
    allowed = {n for n in range(-5500, 5500) if pattern.fullmatch(str(n))}
    assert allowed == set(range(low, high + 1))
    assert not any(pattern.fullmatch(text) for text in ("", "007", "1e3", "1.0", "+1", " 1"))


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.integers(-(10**7), 10**7))
def test_whole_numbers_of_any_bounds(low: int, width: int, number: int) -> None:
    pattern = as_regex(integers(low, low + width))
    assert bool(pattern.fullmatch(str(number))) is (low <= number <= low + width)
    assert pattern.fullmatch(str(low))
    assert pattern.fullmatch(str(low + width))


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_numbers_with_decimals(low: int, high: int) -> None:
    pattern = as_regex(numbers(low, high))
    for tenths in range(-3000, 3000):
        text = f"{tenths / 10:.1f}"
        assert bool(pattern.fullmatch(text)) is (low <= tenths / 10 <= high), text
    assert not any(pattern.fullmatch(text) for text in ("", "1e0", ".5", "0.", "0.1234567"))


@pytest.mark.parametrize(
    "node",
    [
        {"type": "number"},
        {"type": "number", "minimum": 0},
        {"type": "number", "minimum": 0.5, "maximum": 2},
        {"type": "integer", "minimum": 5, "maximum": 1},
        {"type": "integer", "minimum": 0, "maximum": float("inf")},
        {"type": "integer", "minimum": float("nan"), "maximum": 3},
        {"type": "integer", "minimum": False, "maximum": True},
        {"type": "integer", "minimum": 0, "maximum": 3, "enum": [1, 2]},
        {"type": ["integer", "null"], "minimum": 0, "maximum": 3},
        {"type": "string", "minimum": 0, "maximum": 3},
        {"minimum": 0, "maximum": 3},
    ],
    ids=str,
)
def test_what_has_no_two_whole_bounds_is_left_to_the_converter(node: dict[str, object]) -> None:
    assert marked(node) is None


def test_the_numbers_of_a_plan_are_bounded() -> None:
    grammar = schema_grammar(output_schema()).text
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())
    assert as_regex(rules["ttl-ms"]).fullmatch("5000")
    assert not as_regex(rules["ttl-ms"]).fullmatch("5001")
    bounded = [rule for name, rule in rules.items() if name.endswith(("intensity", "bearing"))]
    assert len(bounded) == 2
    assert all(as_regex(rule).fullmatch("0.5") for rule in bounded)
    assert not any(as_regex(rule).fullmatch("181") for rule in bounded)


def test_the_numbers_of_a_tool_are_bounded() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "volume": {"type": "integer", "minimum": 0, "maximum": 10},
            "minimum": {"type": "string"},
        },
    }
    grammar = tool_grammar(CallForm.HERMES, [ToolSpec("louder", "", parameters)])
    assert grammar is not None
    rule = next(line for line in grammar.text.splitlines() if "volume ::=" in line)
    assert as_regex(rule.split(" ::= ")[1]).fullmatch("10")
    assert json.dumps(parameters)  # and the tool's own schema is as it was
    assert parameters["properties"]["volume"] == {"type": "integer", "minimum": 0, "maximum": 10}
