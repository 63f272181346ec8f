"""Mutants of a module: its tree with one guard or one transition broken."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TypeGuard

from brain.dialogue import effects, state

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitOr: ast.BitAnd,
}  # fmt: skip
# Words that are one of a few.
_WORDS = {
    "answer": "follow_up", "follow_up": "answer", "say": "answer", "idle": "answer",
    "apology": "answer", "completed": "failed", "failed": "completed",
    "interrupted": "cancelled", "cancelled": "interrupted",
}  # fmt: skip
_AROUND = 40  # characters

_EXTREMES = {"max": "min", "min": "max"}


@dataclass(frozen=True)
class Mutant:
    """`what`: which function, and what has become of what in it."""

    what: str
    _module: ast.Module
    _node: ast.AST
    _replacement: ast.AST

    def __str__(self) -> str:
        return self.what

    @property
    def tree(self) -> ast.Module:
        """The whole module, with this one thing changed."""
        copies: dict[int, ast.AST] = {}
        mutated: ast.Module = copy.deepcopy(self._module, copies)  # type: ignore[arg-type]
        mark, replacement = copies[id(self._node)], self._replacement

        class Swap(ast.NodeTransformer):
            def visit(self, here: ast.AST) -> ast.AST:
                return replacement if here is mark else self.generic_visit(here)

        swapped: ast.Module = Swap().visit(mutated)
        return ast.fix_missing_locations(swapped)


def mutants(source: str) -> Iterator[Mutant]:
    """All of them."""
    tree = ast.parse(source)
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        seen: dict[str, int] = {}
        for node in _inside(function):
            for broken in _broken(node, function):
                replacement = ast.fix_missing_locations(ast.copy_location(broken, node))
                what = f"{function.name}: {_difference(_told(node), _told(replacement))}"
                seen[what] = seen.get(what, 0) + 1
                if seen[what] > 1:
                    what += f"  (the {seen[what]}.)"
                yield Mutant(what, tree, node, replacement)


def _inside(function: ast.FunctionDef) -> Iterator[ast.AST]:
    for statement in function.body:
        if not _is_docstring(statement) and not isinstance(statement, ast.Assert):
            types = [node.annotation for node in ast.walk(statement) if _is_typed(node)]
            told = {node for type_ in types for node in ast.walk(type_)}
            yield from (node for node in ast.walk(statement) if node not in told)


def _is_typed(node: ast.AST) -> TypeGuard[ast.AnnAssign]:
    return isinstance(node, ast.AnnAssign)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _told(node: ast.AST) -> str:
    return " ".join(ast.unparse(node.test if isinstance(node, ast.If) else node).split())


def _difference(before: str, after: str) -> str:
    """What has become of what, with no more around it than is the same in both."""
    most = min(len(before), len(after))
    same = next((i for i in range(most) if before[i] != after[i]), most)
    left = 0
    if same > _AROUND:
        left = before.rfind(" ", 0, same - _AROUND // 2) + 1
    tail = 0
    while tail < most - same and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    right = max(0, tail - _AROUND)
    return "  ->  ".join(
        ("... " if left else "") + text[left : len(text) - right] + (" ..." if right else "")
        for text in (before, after)
    )


def _broken(node: ast.AST, function: ast.FunctionDef) -> Iterator[ast.AST]:
    """What `node` may become."""
    match node:
        case ast.If(test) | ast.IfExp(test):
            yield _changed(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.comprehension(ifs=[test]):
            yield _changed(node, ifs=[ast.UnaryOp(ast.Not(), test)])
        case ast.BoolOp(op, values):
            for i in range(len(values)):
                yield _changed(node, values=_without(values, i))
            yield _changed(node, op=ast.And() if isinstance(op, ast.Or) else ast.Or())
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Compare(ops=[op]):
            yield _changed(node, ops=[_COMPARED[type(op)]()])
        case ast.BinOp(op=op) if type(op) in _COUNTED:
            yield _changed(node, op=_COUNTED[type(op)]())
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(str(value)) if value in _WORDS:
            yield ast.Constant(_WORDS[value])
        case ast.Call(ast.Name(name), args) if name in _EXTREMES:
            yield _changed(node, func=ast.Name(_EXTREMES[name], ast.Load()))
            yield from args
        case ast.Call(ast.Name(name), keywords=keywords):
            for i, keyword in enumerate(keywords):
                if name == "replace" or keyword.arg in _OPTIONAL.get(name, ()):
                    yield _changed(node, keywords=_without(keywords, i))
        case ast.Tuple(elts) if not _is_step(node):
            for i in range(len(elts)):
                yield _changed(node, elts=_without(elts, i))
        case ast.Return(value) if _takes_a_state(function) and value is not None:
            if ast.unparse(value) != "(state, ())":
                yield ast.Return(_expression("(state, ())"))
        case ast.Assign([ast.Name("state")]):
            yield ast.Pass()
        case ast.Assign([ast.Tuple([ast.Name("state"), ast.Name(effects)])]):
            yield ast.Assign([ast.Name(effects, ast.Store())], _expression("()"))


# Arguments that may be left out, by the class that takes them.
_OPTIONAL = {
    kind.__name__: [field.name for field in fields(kind) if field.default is not MISSING]
    for module in (effects, state)
    for kind in vars(module).values()
    if isinstance(kind, type) and is_dataclass(kind)
}


def _takes_a_state(function: ast.FunctionDef) -> bool:
    """Whether it is a step, or a part of one."""
    told = function.returns is not None and ast.unparse(function.returns) == "Step"
    return told and any(arg.arg == "state" for arg in function.args.args)


def _is_step(node: ast.Tuple) -> bool:
    """Whether it is a state and its effects, or names that are assigned to."""
    if isinstance(node.ctx, ast.Store) or len(node.elts) != 2:
        return isinstance(node.ctx, ast.Store)
    match node.elts[0]:
        case ast.Name(name):
            return name in ("state", "failing", "changed")
        case ast.Call(ast.Name("replace")):
            return True
    return False


def _expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


def _without(items: list[ast.expr], i: int) -> list[ast.expr]:
    return [item for at, item in enumerate(items) if at != i]


def _changed(node: ast.AST, **changes: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed
