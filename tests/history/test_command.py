"""`brain history`: whose conversations it looks after."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from brain.cli import history
from brain.history.database import Database, Limits, Row
from brain.settings import Settings
from tests.history.redis_server import a_redis


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


def test_those_that_brains_share_are_listed_and_forgotten_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_redis(tmp_path / "redis") as redis:
        settings = Settings(history_store=redis.url)
        assert history.list_robots(settings) == 0
        assert "127.0.0.1" in capsys.readouterr().out
        record = {"fence": 1, "seen_at": 1_790_000_000.5, "last_turn": 1, "last_reply": 1}
        said = '[{"role": "user", "text": "My name is Anna.", "turn": 1}]'
        redis.client().hset("robot-brain:robot:kitchen", mapping={**record, "messages": said})
        redis.client().set("robot-brain:robot:garden", "garbage")
        assert history.list_robots(settings) == 0
        assert [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]] == [
            ["garden", "unreadable", "0.0", "1970-01-01 00:00:00Z"],
            ["kitchen", "1", "0.1", "2026-09-21 14:13:20Z"],
        ]
        assert history.forget(settings, "kitchen") == 0
        assert history.forget(settings, "kitchen") == 1
        shown = capsys.readouterr()
        assert "kitchen: forgotten" in shown.out
        assert "no robot 'kitchen'" in shown.err
    away = Settings(history_store="redis://:s3cret@127.0.0.1:1/0")
    assert history.list_robots(away) == 1
    told = capsys.readouterr().err
    assert "redis://127.0.0.1:1/0" in told
    assert "s3cret" not in told
