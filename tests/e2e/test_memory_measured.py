"""The memory that the plan gives the pocket profile is that of a real brain at work."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from brain.models import catalog
from brain.ops.memory.parts import plan
from brain.settings import load
from tests.e2e.pocket import a_pocket_brain
from tests.seed_examples import PLAN_REQUEST

TOLERANCE = 0.25
"""Of what was planned: libraries differ in size from machine to machine."""


def test_a_pocket_brain_takes_what_was_planned(tmp_path: Path) -> None:
    settings = load(environ={"BRAIN_PROFILE": "pocket"}, config_dir=tmp_path, working_dir=tmp_path)
    known = catalog.load()
    machine = known.profiles["pocket"].machine
    assert machine is not None
    made = plan(settings, known, machine)
    own = 1000 * sum(part.gb or 0.0 for part in made.parts if part.name != "system")
    with a_pocket_brain(tmp_path) as brain:
        brain.until_ready()
        for path, body in (("/plan", PLAN_REQUEST), ("/tts", {"text": "Hello there."})):
            request = urllib.request.Request(
                f"http://127.0.0.1:{brain.port}{path}", json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )  # fmt: skip
            assert urllib.request.urlopen(request, timeout=30).read()
        measured = brain.peak_memory_mb() * 1.048576
    print(f"planned {own:.0f} MB, measured {measured:.0f} MB")
    assert measured == pytest.approx(own, rel=TOLERANCE)
