"""Whatever has the form of an engine is put through its kind's cases."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parents[2]
BRAIN = TESTS.parent / "brain" / "engines"
FORMS = (
    {"info": "", "probabilities": "streams"},
    {"info": "", "transcribe": "samples", "close": ""},
    {"info": "", "probability": "samples", "close": ""},
    {"info": "", "stream": "messages", "close": ""},
    {"info": "", "stream": "text", "close": ""},
)
"""Of each kind, its methods and what they are given first."""


def adapters(folder: Path) -> set[str]:
    """The classes with an engine's methods; not the ports, nor what is a port around a port."""
    found = set()
    for file in folder.rglob("*.py"):
        if file.stem.endswith("ports"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                has = methods(node).items()
                if any(form.items() <= has for form in FORMS):
                    found.add(node.name)
    return found


def methods(made: ast.ClassDef) -> dict[str, str]:
    """Those of a class, and what each is given first."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    own = [part for part in made.body if isinstance(part, functions)]
    return {part.name: "".join(one.arg for one in part.args.args[1:2]) for part in own}


def named(file: Path) -> set[str]:
    """The names in a module."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def tried() -> set[str]:
    """What the modules name that put engines through the cases, here and in other suites."""
    here = Path(__file__).parent
    modules = {*here.glob("test_*.py"), *here.glob("*_place.py")}
    for file in TESTS.rglob("test_conformance.py"):
        modules |= {file, *file.parent.glob("conftest.py")}
    return set().union(*(named(file) for file in modules))


def test_every_adapter_is_in_a_list() -> None:
    found = adapters(BRAIN)
    assert {
        "SileroDetector",
        "WhisperTranscriber",
        "OpenAIMind",
        "PiperSynthesizer",
        "SmartTurn",
    } <= found
    assert not found - tried()


def test_one_that_is_in_none_is_found(tmp_path: Path) -> None:
    (tmp_path / "parrot.py").write_text(
        "class Parrot:\n"
        "    @property\n"
        "    def info(self): ...\n"
        "    async def stream(self, text): ...\n"
        "    async def close(self): ...\n"
        "class Feather:\n"
        "    def info(self): ...\n"
    )
    (tmp_path / "lane_ports.py").write_text((tmp_path / "parrot.py").read_text())
    assert adapters(tmp_path) == {"Parrot"}
    assert not adapters(tmp_path) & tried()
