"""Numbers within bounds as GBNF, which the schema converter of llama-cpp-python leaves open.

The converter sees a bounded number as a string constant of its own, a mark, and that mark is
replaced by the number's expression in the grammar that comes out.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

_MOST_DECIMALS = 6
_LARGEST = 10**12
# Nobody's schema has this constant by chance or on purpose.
_MARK = f"number-{secrets.token_hex(8)}"
_FORMS = {"integer": "i", "number": "n"}


def marked(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The mark for a JSON Schema node of a number between two whole bounds; None for any other."""
    form = _FORMS.get(node["type"]) if isinstance(node.get("type"), str) else None
    if form is None or "enum" in node or "const" in node:
        return None
    low, high = _whole(node.get("minimum")), _whole(node.get("maximum"))
    if low is None or high is None or low > high:
        return None
    return {"const": f"{_MARK}:{form}:{low}:{high}"}


def unmarked(grammar: str) -> str:
    """`grammar` with an expression in the place of each mark."""
    return re.sub(rf'"\\"{_MARK}:(.):(-?\d+):(-?\d+)\\""', _expression, grammar)


def integers(low: int, high: int) -> str:
    """GBNF for the whole numbers `low`..`high`, without leading zeros."""
    return _signed(low, high, _digits)


def numbers(low: int, high: int) -> str:
    """GBNF for the numbers `low`..`high`, without an exponent, with up to 6 decimals."""
    return _signed(low, high, _decimals)


def _expression(mark: re.Match[str]) -> str:
    form, low, high = mark.groups()
    return (integers if form == "i" else numbers)(int(low), int(high))


def _whole(bound: Any) -> int | None:
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return None
    if not abs(bound) <= _LARGEST or bound != int(bound):  # NaN is not within either
        return None
    return int(bound)


def _signed(low: int, high: int, positive: Callable[[int, int], str]) -> str:
    parts = []
    if high >= 0:
        parts.append(positive(max(low, 0), high))
    if low < 0:
        parts.append(f'"-" {positive(max(-high, 0), -low)}')
    return f"({' | '.join(parts)})"


def _decimals(low: int, high: int) -> str:
    top = f'{_digits(high, high)} ("." "0"{{1,{_MOST_DECIMALS}}})?'
    if low == high:
        return f"({top})"
    below = f'{_digits(low, high - 1)} ("." [0-9]{{1,{_MOST_DECIMALS}}})?'
    return f"({below} | {top})"


def _digits(low: int, high: int) -> str:
    """The numerals of `low`..`high`, both at least 0, as one alternative for each pattern."""
    parts = []
    for length in range(len(str(low)), len(str(high)) + 1):
        least = 0 if length == 1 else 10 ** (length - 1)
        first, last = max(low, least), min(high, 10**length - 1)
        parts += _same_length(str(first), str(last))
    return f"({' | '.join(parts)})"


def _same_length(first: str, last: str) -> list[str]:
    if first == last:
        return [f'"{first}"']
    rest = len(first) - 1
    if not rest:
        return [f"[{first}-{last}]"]
    if first[0] == last[0]:
        return [f'"{first[0]}" {tail}' for tail in _same_length(first[1:], last[1:])]
    nines, zeros = "9" * rest, "0" * rest
    start, end = int(first[0]), int(last[0])
    before, after = [], []
    if first[1:] != zeros:
        before = [f'"{start}" {tail}' for tail in _same_length(first[1:], nines)]
        start += 1
    if last[1:] != nines:
        after = [f'"{end}" {tail}' for tail in _same_length(zeros, last[1:])]
        end -= 1
    middle = [f"[{start}-{end}] [0-9]{{{rest}}}"] if start <= end else []
    return before + middle + after
