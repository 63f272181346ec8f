"""Every setting has a test that shows its effect: one that is marked `setting("ITS_NAME")`."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from brain.settings import SPECS

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "tests", ROOT / "robot_client" / "tests")


def marked_names(tree: ast.AST) -> Iterator[str]:
    """The names in the marks that stand on a test, or on one case of it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        for decorator in node.decorator_list:
            for call in ast.walk(decorator):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.setting":
                    yield from (ast.literal_eval(argument) for argument in call.args)


@pytest.fixture(scope="module")
def marks() -> Mapping[str, list[str]]:
    """The files that have a test of each name."""
    found = defaultdict(list)
    for path in sorted(file for folder in FOLDERS for file in folder.rglob("test_*.py")):
        for name in marked_names(ast.parse(path.read_text(encoding="utf-8"))):
            found[name].append(str(path.relative_to(ROOT)))
    return found


@pytest.mark.parametrize("name", list(SPECS))
def test_it_has_a_test_of_its_effect(marks: Mapping[str, list[str]], name: str) -> None:
    assert marks.get(name), f"no test is marked pytest.mark.setting({name!r})"


def test_every_mark_names_a_setting(marks: Mapping[str, list[str]]) -> None:
    strangers = {name: files for name, files in marks.items() if name not in SPECS}
    assert not strangers


def test_a_mark_is_found_on_a_test_and_on_one_case_of_it() -> None:
    source = """
@pytest.mark.setting("A", "B")
def test_one(): ...
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.setting("C"))])
def test_two(x): ...
@pytest.mark.setting("D")
def no_test(): ...
"""
    assert list(marked_names(ast.parse(source))) == ["A", "B", "C"]
