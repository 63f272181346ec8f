"""Who may know whom (DESIGN): reads every import of the brain and fails on any other arrow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EVERYTHING = {
    "api", "audio", "dialogue", "engines", "history", "models", "ops", "persona", "pictures",
    "planner", "settings",
}  # fmt: skip
MAY_KNOW: dict[str, set[str]] = {
    "app": EVERYTHING | {"house", "web"},
    "web": EVERYTHING,
    "house": EVERYTHING,
    "cli": EVERYTHING | {"app"},
    "__main__": {"cli"},
    "__init__": set(),
    # The wire's sound is PCM, its pictures are files, and a name that a robot gives is data.
    "api": {"dialogue", "planner", "engines.ports", "settings", "audio", "pictures"},
    "dialogue": {"engines.ports", "audio", "persona"},
    "history": {"dialogue", "engines.ports"},
    "planner": {"engines.ports", "settings"},
    # `brain models check` runs the pocket models on their own prompts (persona, planner).
    "ops": {"engines", "models", "settings", "audio", "persona", "planner"},
    "engines": {"audio", "settings", "models"},
    "audio": set(),
    "pictures": set(),
    "models": set(),
    "persona": set(),
    "settings": set(),
    "pocket": set(),
}
# What would make a room heavy, and where it is allowed all the same.
HEAVY = {"llama_cpp", "faster_whisper", "ctranslate2", "onnxruntime", "piper", "torch", "vllm"}
WEB = {"fastapi", "starlette", "uvicorn", "websockets"}


def modules() -> list[Path]:
    return sorted((ROOT / "brain").rglob("*.py"))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its arrow"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return found


def room(path: Path) -> str:
    return path.relative_to(ROOT / "brain").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_drawn_arrows(path: Path) -> None:
    own = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "robot_client":
            pytest.fail(f"{path}: brain and robot client share the protocol, not code")
        if parts[0] != "brain" or len(parts) < 2 or parts[1] in (own, "__version__"):
            continue
        target = ".".join(parts[1:])
        allowed = any(
            target == known or target.startswith(f"{known}.") for known in MAY_KNOW[own]
        ) or (parts[1] == "engines" and target == "engines" and "engines.ports" in MAY_KNOW[own])
        assert allowed, f"{own} may not know {target}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_engine_libraries_stay_in_their_room(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports(path)}
    if room(path) not in ("engines", "ops"):
        assert not outside & HEAVY
    if room(path) not in ("api", "web", "ops", "cli"):
        assert not outside & WEB


def test_the_robot_client_knows_nothing_of_the_brain() -> None:
    for path in (ROOT / "robot_client" / "src").rglob("*.py"):
        assert not {name for name in imports(path) if name.split(".")[0] == "brain"}, path
