"""`python -m tools.protocol_schema` writes docs/protocol.schema.json from the wire's models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from pydantic.json_schema import models_json_schema

from brain.api import wire_in, wire_out

PATH = Path(__file__).parent.parent / "docs" / "protocol.schema.json"


def schema() -> str:
    """The JSON Schema of all messages of `/ws`, as text."""
    robot, brain = get_args(wire_in.RobotMessage), get_args(wire_out.BrainMessage)
    models = [(model, "validation") for model in robot]
    models += [(model, "serialization") for model in brain]
    _, definitions = models_json_schema(models)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Robot Brain, /ws, protocol 1",
        "robot_to_brain": {"oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in robot]},
        "brain_to_robot": {"oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in brain]},
        **definitions,
    }
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema(), encoding="utf-8")
