"""`python -m tools.protocol_schema` writes the schemas in docs/ from the wires' own models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from brain.api import converse_in, converse_out, wire_in, wire_out

_DOCS = Path(__file__).parent.parent / "docs"
PATH = _DOCS / "protocol.schema.json"
CONVERSE_PATH = _DOCS / "protocol.converse.schema.json"


def schema() -> str:
    """The JSON Schema of all messages of `/ws`, as text."""
    robot, brain = get_args(wire_in.RobotMessage), get_args(wire_out.BrainMessage)
    return _document(
        "Robot Brain, /ws, protocol 1", "robot_to_brain", robot, "brain_to_robot", brain
    )


def converse_schema() -> str:
    """The JSON Schema of all messages of `/converse`, as text."""
    up, down = get_args(converse_in.SupervisorMessage), get_args(converse_out.ConverseMessage)
    title = "Robot Brain, /converse"
    return _document(title, "supervisor_to_brain", up, "brain_to_supervisor", down)


def _document(
    title: str,
    up_name: str,
    up: Sequence[type[BaseModel]],
    down_name: str,
    down: Sequence[type[BaseModel]],
) -> str:
    models: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in up]
    models += [(model, "serialization") for model in down]
    _, definitions = models_json_schema(models)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        up_name: {"oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in up]},
        down_name: {"oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in down]},
        **definitions,
    }
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema(), encoding="utf-8")
    CONVERSE_PATH.write_text(converse_schema(), encoding="utf-8")
