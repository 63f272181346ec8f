"""A fleet that loses an engine server, a brain and its Redis under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.fleet.simulation import Plan, simulate


@pytest.mark.timeout(360)  # nine processes, on a machine that may be at work
@pytest.mark.setting("HISTORY_STORE")
def test_every_robot_is_answered_and_nothing_is_lost_but_what_was_in_flight(
    tmp_path: Path,
) -> None:
    plan = Plan(typing=200, speaking=10, questions=3, pause_s=9.0)
    outcome = simulate(tmp_path, plan)
    assert outcome.faults == [], outcome.figures
    assert outcome.figures["answered"] == 630
    assert set(outcome.figures["killed_after_s"]) == {"engine", "brain", "redis"}
