"""Generated documents are in step with the code."""

from __future__ import annotations

from tools import protocol_schema


def test_the_protocols_schema() -> None:
    written = protocol_schema.PATH.read_text(encoding="utf-8")
    assert written == protocol_schema.schema(), "run python -m tools.protocol_schema"
