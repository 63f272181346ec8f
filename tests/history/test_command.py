"""`brain history`: whose conversations it looks after."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from brain.cli import history
from brain.history.database import Database, Limits, Row
from brain.settings import Settings


def spoken(folder: Path, robot: str) -> None:
    database = Database(folder)
    now = time.time()
    row = Row(robot, now, 1, 1, "[]")
    database.save([row], now=now, limits=Limits(3600, 10, 1 << 20))
    database.close()


def test_who_may_look_at_the_services_is_shown_those(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sudo brain history …`, where brain.env names no STATE_DIR: root has a folder of its own."""
    service, own = tmp_path / "service", tmp_path / "own"
    monkeypatch.setattr(history, "SERVICE_DIR", service)
    monkeypatch.setenv("XDG_STATE_HOME", str(own))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    spoken(own / "robot-brain", "garden")
    assert history.list_robots(Settings()) == 0
    assert "garden" in capsys.readouterr().out
    spoken(service, "kitchen")
    assert history.forget(Settings(), "kitchen") == 0
    capsys.readouterr()
    assert history.list_robots(Settings()) == 0
    shown = capsys.readouterr().out
    assert "garden" not in shown
    assert "kitchen" not in shown
    assert history.list_robots(Settings(state_dir=str(own / "robot-brain"))) == 0
    assert "garden" in capsys.readouterr().out
